import { createHash, randomBytes } from 'node:crypto';

/**
 * Ties a consent to the browser of the person who began to connect (RFC 9700 §4.7). The handle is in the address that they open and then in
 * a cookie of their browser; the `state` that the authorization server sees follows from it, and leads nobody back to it. So whoever is sent
 * the address of the authorization server, or the way back from there, has nothing: the cookie is in another browser.
 */
export const newHandle = (): string => randomBytes(32).toString('base64url');

export const stateOf = (handle: string): string =>
  createHash('sha256').update(`gatehouse upstream connect ${handle}`).digest('base64url');

/** `Lax`, because it comes back from another site. One for each connect: a person may have several under way. */
export function connectCookie(
  handle: string,
  { https, maxAgeSeconds }: { https: boolean; maxAgeSeconds: number },
): string {
  const attributes = `Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}`;
  return `${nameOf(stateOf(handle), https)}=${handle}; ${attributes}${https ? '; Secure' : ''}`;
}

/** Whether the browser that came back with this state is the one that opened the address. */
export function isSameBrowser(header: string | undefined, state: string, https: boolean): boolean {
  const name = nameOf(state, https);
  return (header ?? '').split(';').some((part) => {
    const [given, value = ''] = part.trim().split('=', 2);
    return given === name && stateOf(value) === state;
  });
}

export const forgottenCookie = (state: string, https: boolean): string =>
  `${nameOf(state, https)}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0${https ? '; Secure' : ''}`;

const nameOf = (state: string, https: boolean) =>
  `${https ? '__Host-' : ''}gatehouse_connect_${state.slice(0, 16).replace(/[^A-Za-z0-9_-]/g, '')}`;
