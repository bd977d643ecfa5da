import { GatehouseError } from '../../platform/index.ts';
import type { RelyingParty } from './relying-party.ts';

/** `__Host-` makes browsers refuse a cookie that a subdomain or plain http tries to put in its place (RFC 6265bis). */
export function cookieName(party: RelyingParty): string {
  return party.https ? '__Host-gatehouse_session' : 'gatehouse_session';
}

export function sessionCookie(party: RelyingParty, token: string, maxAgeSeconds: number): string {
  const attributes = `Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}`;
  return `${cookieName(party)}=${token}; ${attributes}${party.https ? '; Secure' : ''}`;
}

/** The session token of a `Cookie` header. Two different ones are refused: one of them was planted. */
export function readSessionCookie(party: RelyingParty, header: string | undefined): string | undefined {
  const name = cookieName(party);
  const values = new Set<string>();
  for (const part of (header ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name) values.add(part.slice(at + 1).trim());
  }
  if (values.size > 1) {
    throw new GatehouseError(
      'unauthenticated',
      'session.ambiguous',
      'The request carries two different session cookies. Clear the cookies of this site and sign in again.',
    );
  }
  const [value] = values;
  return value !== undefined && /^[A-Za-z0-9_-]{43}$/.test(value) ? value : undefined;
}
