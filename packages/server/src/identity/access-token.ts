import { z } from 'zod';
import { limits } from '../platform/index.ts';
import { CredentialError } from './credential-error.ts';
import { type CompactJws, MalformedJws, parseCompactJws, signCompactJws, verifyJws } from './jws.ts';
import type { SigningKeys } from './signing-keys.ts';

/**
 * Access tokens: RFC 9068 JWTs, ES256, made and read only here. They carry nothing private: the template and the id of the task,
 * not what the agent said about it. `sub_profile` is that of draft-mcguinness-oauth-actor-profile; there is no `act`, for an agent
 * that acts for itself is the subject.
 */
export const accessTokenClaims = z.strictObject({
  iss: z.string(),
  /** SPIFFE ID of the agent. */
  sub: z.string(),
  /** Exactly one resource: `PUBLIC_URL/mcp`, or one server's address below it. */
  aud: z.string(),
  /** Name of the agent. */
  client_id: z.string(),
  jti: z.string(),
  iat: z.number().int(),
  exp: z.number().int(),
  sub_profile: z.literal('ai_agent'),
  authorization_details: z.tuple([z.strictObject({ type: z.string(), task: z.string(), template: z.string() })]),
  gatehouse: z.strictObject({ task: z.string(), agent_epoch: z.number().int() }),
  cnf: z.strictObject({ jkt: z.string() }).optional(),
});
export type AccessTokenClaims = z.infer<typeof accessTokenClaims>;

/** A real token has about 1,000 characters. */
const MAX_TOKEN_CHARS = 4_096;
/** How far the clock of the replica that issued may be ahead of ours. `exp` has no such leeway: it is what an agent is promised. */
const SKEW_SECONDS = 60;

const TYPE = 'at+jwt';

export function signAccessToken(claims: AccessTokenClaims, keys: SigningKeys): string {
  const { kid, key } = keys.signer();
  return signCompactJws({ alg: 'ES256', typ: TYPE, kid }, claims, key);
}

/** Checks everything that does not change while the token lives, but for `exp` and `aud`. Throws CredentialError. */
export async function verifyAccessToken(
  token: string,
  { keys, issuer, now }: { keys: SigningKeys; issuer: string; now: number },
): Promise<AccessTokenClaims> {
  const jws = parse(token);
  const { alg, typ, kid, ...others } = jws.header;
  if (alg !== 'ES256') throw invalid('its alg is not ES256');
  if (typ !== TYPE) throw invalid(`its typ is not ${TYPE}`);
  if (Object.keys(others).length > 0) throw invalid('its header has members that Gatehouse does not write');
  const key = typeof kid === 'string' ? await keys.verifier(kid) : undefined;
  if (!key) throw invalid('it is not signed with a key of this server');
  if (!verifyJws(jws, 'ES256', key)) throw invalid('its signature does not verify');

  const claims = accessTokenClaims.safeParse(jws.payload);
  if (!claims.success) throw invalid('its claims are not those of an access token', claims.error);
  const { iss, iat, exp } = claims.data;
  if (iss !== issuer) throw invalid('it was issued by another server');
  if (iat > now / 1000 + SKEW_SECONDS) throw invalid('it is not valid yet');
  if (exp - iat > limits.tokenTtlSeconds) throw invalid('it lives longer than an access token may');
  return claims.data;
}

function parse(token: string): CompactJws {
  try {
    return parseCompactJws(token, MAX_TOKEN_CHARS);
  } catch (cause) {
    if (cause instanceof MalformedJws) throw invalid(cause.message, cause);
    throw cause;
  }
}

const invalid = (reason: string, cause?: unknown) =>
  new CredentialError('invalid_token', 'token.invalid', `The access token is refused: ${reason}.`, cause);
