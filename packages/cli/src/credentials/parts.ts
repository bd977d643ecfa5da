import type { Given } from './types.ts';

type Held = Extract<Given, { kind: 'given' }>;

/** Thrown where a client asks a provider whose credentials are of another kind. */
export class WrongKind extends Error {
  constructor({ provider, parts }: Held, client: string) {
    super(`Credentials of "${provider}" are no use to ${client}: they have ${Object.keys(parts).join(', ')}.`);
  }
}

/** The part of this name, or the first of several that a provider has. */
export function partOf(held: Held, client: string, ...names: string[]): string {
  for (const name of names) if (Object.hasOwn(held.parts, name)) return held.parts[name] as string;
  throw new WrongKind(held, client);
}

/** User and password, as systems that know only those take a token, too. */
export const loginOf = (held: Held, client: string): { username: string; password: string } => ({
  username: held.parts.username ?? 'x-access-token',
  password: partOf(held, client, 'password', 'token'),
});

/** RFC 3339, without fractions: some clients read no others. */
export const timeOf = ({ expiresAt }: Held): string => new Date(expiresAt).toISOString().replace(/\.\d+Z$/, 'Z');
