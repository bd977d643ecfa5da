import { compactVerify, errors, type JWK } from 'jose';
import { GatehouseError, type JsonObject } from '../../platform/index.ts';
import { MalformedJws, parseCompactJws } from '../tokens/jws.ts';
import { federationLimits } from './limits.ts';

/** A token of somebody else, read strictly and not believed yet. */
export interface OutsideToken {
  text: string;
  header: JsonObject;
  claims: JsonObject;
  algorithm: string;
  keyId: string | undefined;
}

/** Asymmetric ones only: with `none` or an HMAC the token itself, or a public key, would be the proof (RFC 8725 §3.1, §3.2). */
const keyTypeOf: Record<string, { kty: string; crv?: string[] }> = {
  RS256: { kty: 'RSA' },
  RS384: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
  PS384: { kty: 'RSA' },
  PS512: { kty: 'RSA' },
  ES256: { kty: 'EC', crv: ['P-256'] },
  ES384: { kty: 'EC', crv: ['P-384'] },
  ES512: { kty: 'EC', crv: ['P-521'] },
  EdDSA: { kty: 'OKP', crv: ['Ed25519'] },
  Ed25519: { kty: 'OKP', crv: ['Ed25519'] },
};
export const OUTSIDE_ALGORITHMS = Object.keys(keyTypeOf);

/** A proof, a logout token or an ID-JAG must not pass for an identity token (RFC 8725 §3.11). */
const identityTokenTypes = new Set(['jwt', 'at+jwt', 'jose']);
const MAX_KEY_ID_CHARS = 256;
/** Keys that are tried where the token names none. */
const KEYS_TRIED = 10;

/** `only`: what the header's `typ` must be, in lower case; `jwt` may be left out. Without it, that of any identity token. */
export function readOutsideToken(text: string, only?: string): OutsideToken {
  let parsed: ReturnType<typeof parseCompactJws>;
  try {
    parsed = parseCompactJws(text.trim(), federationLimits.tokenChars);
  } catch (cause) {
    if (cause instanceof MalformedJws) throw tokenRefused('malformed', `it is not a signed JWT: ${cause.message}`);
    throw cause;
  }
  const { header, payload } = parsed;
  const { alg, typ, kid, crit } = header;
  if (typeof alg !== 'string' || !Object.hasOwn(keyTypeOf, alg))
    throw tokenRefused('algorithm', `its alg is not one of ${OUTSIDE_ALGORITHMS.join(', ')}`);
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : typ;
  if (only !== undefined && (type ?? 'jwt') !== only) throw tokenRefused('type', `its typ is not ${only}`);
  if (only === undefined && type !== undefined && !identityTokenTypes.has(String(type)))
    throw tokenRefused('type', 'its typ is not that of an identity token (JWT)');
  if (crit !== undefined || header.b64 !== undefined)
    throw tokenRefused('critical', 'it has critical header members, which are not understood');
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KEY_ID_CHARS))
    throw tokenRefused('key-id', 'its kid is not a short text');
  return { text: text.trim(), header, claims: payload, algorithm: alg, keyId: kid };
}

/**
 * True when one of the issuer's keys has signed it. Keys come from the issuer alone: `jwk`, `jku`, `x5u` and `x5c` of the header are never
 * looked at, and a `kid` is only compared.
 */
export async function isSignedBy({ text, algorithm, keyId }: OutsideToken, keys: readonly JWK[]): Promise<boolean> {
  const { kty, crv } = keyTypeOf[algorithm] as { kty: string; crv?: string[] };
  const fitting = keys.filter(
    (key) =>
      key.kty === kty &&
      (crv === undefined || crv.includes(String(key.crv))) &&
      (key.alg === undefined || key.alg === algorithm || (kty === 'OKP' && ['EdDSA', 'Ed25519'].includes(key.alg))) &&
      (keyId === undefined || key.kid === keyId),
  );
  for (const key of fitting.slice(0, KEYS_TRIED)) {
    try {
      await compactVerify(text, key, { algorithms: [algorithm] });
      return true;
    } catch (error) {
      // A key that cannot be used (RSA below 2048 bits, not a point of its curve) has signed nothing.
      if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof TypeError) continue;
      if (error instanceof errors.JOSEError || (error as Error).name === 'DataError') continue;
      throw error;
    }
  }
  return false;
}

/** Why its times are wrong; undefined when they are right. `maxAgeSeconds` counts from `iat`. */
export function timeProblem(claims: JsonObject, nowMs: number, maxAgeSeconds: number): string | undefined {
  const { exp, nbf, iat } = claims;
  const now = nowMs / 1000;
  const { leewaySeconds } = federationLimits;
  if (typeof exp !== 'number') return 'it has no exp';
  if (exp + leewaySeconds <= now) return `it expired at ${at(exp)}: get a new one, and check the clocks`;
  if (nbf !== undefined && (typeof nbf !== 'number' || nbf - leewaySeconds > now))
    return 'it is not valid yet (nbf): check the clocks';
  if (typeof iat !== 'number') return 'it has no iat';
  if (iat - leewaySeconds > now) return 'it was issued in the future (iat): check the clocks';
  if (iat + maxAgeSeconds + leewaySeconds <= now)
    return `it was issued at ${at(iat)}, more than ${maxAgeSeconds} s ago: get a new one`;
  return undefined;
}

const at = (seconds: number) => new Date(Math.max(-8e12, Math.min(seconds, 8e12)) * 1000).toISOString();

/** RFC 7519 §4.1.3; more than one audience is refused: another of them could present the token here. */
export function audienceOf({ aud }: JsonObject): string | undefined {
  const all = Array.isArray(aud) ? aud : [aud];
  return all.length === 1 && typeof all[0] === 'string' ? all[0] : undefined;
}

export const tokenRefused = (code: string, reason: string) =>
  new GatehouseError('forbidden', `outside-token.${code}`, `The token is refused: ${reason}.`);
