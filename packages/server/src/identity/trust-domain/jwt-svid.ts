import { constants, type KeyObject, verify } from 'node:crypto';
import { MalformedJws, parseCompactJws } from '../tokens/jws.ts';
import type { SpiffeBundle } from './bundle.ts';
import { CLOCK_SKEW_MS, trustDomainLimits } from './limits.ts';
import { MalformedSpiffeId, parseSpiffeId } from './spiffe-id.ts';
import { refused } from './verify-svid.ts';

export interface VerifiedToken {
  spiffeId: string;
  trustDomain: string;
  path: string;
  expiresAt: number;
  audience: string[];
  claims: Record<string, unknown>;
}

/** JWT-SVID §2: these members and no others. */
const headerMembers = new Set(['alg', 'kid', 'typ']);
const types = new Set(['JWT', 'JOSE']);
/** Exactly those of JWT-SVID §2.1: neither none, nor HMAC, nor EdDSA. */
const signatures: Record<string, { digest: string; pss?: boolean; ecBytes?: number }> = {
  RS256: { digest: 'sha256' },
  RS384: { digest: 'sha384' },
  RS512: { digest: 'sha512' },
  PS256: { digest: 'sha256', pss: true },
  PS384: { digest: 'sha384', pss: true },
  PS512: { digest: 'sha512', pss: true },
  ES256: { digest: 'sha256', ecBytes: 64 },
  ES384: { digest: 'sha384', ecBytes: 96 },
  ES512: { digest: 'sha512', ecBytes: 132 },
};

/** JWT-SVID §§2–5. The key is that of the `kid` in the bundle of sub's own trust domain; the header chooses nothing else. */
export function verifyJwt(
  token: string,
  audience: string,
  { bundleOf, now }: { bundleOf(trustDomain: string): SpiffeBundle | undefined; now: number },
): VerifiedToken {
  const { header, payload, signed, signature } = parse(token);
  const unknown = Object.keys(header).find((member) => !headerMembers.has(member));
  if (unknown !== undefined) throw refused('jwt', `its header has the member ${JSON.stringify(unknown.slice(0, 40))}`);
  if (header.typ !== undefined && !types.has(String(header.typ)))
    throw refused('jwt', 'its typ is neither JWT nor JOSE');
  const algorithm = typeof header.alg === 'string' && Object.hasOwn(signatures, header.alg) ? header.alg : undefined;
  if (!algorithm) throw refused('jwt', 'its alg is none of RS, ES and PS with 256, 384 or 512');
  const { sub, aud, exp, nbf, iat } = payload;
  if (typeof sub !== 'string') throw refused('jwt', 'it has no sub');
  const { trustDomain, path } = idOf(sub);
  if (path === '') throw refused('jwt', 'its sub is that of a trust domain, and not of anybody in it');
  const bundle = bundleOf(trustDomain);
  if (!bundle)
    throw refused(
      'trust-domain',
      `its trust domain ${trustDomain} is neither ours nor one that we federate with and have a bundle of`,
    );
  const found = typeof header.kid === 'string' ? bundle.jwtKeys.get(header.kid) : undefined;
  if (!found) throw refused('untrusted', `its kid names no JWT-SVID key of the trust domain ${trustDomain}`);
  if (!found.algorithms.includes(algorithm)) throw refused('jwt', 'its alg does not fit its key');
  if (!isSigned(algorithm, signed, signature, found.key)) throw refused('untrusted', 'its signature does not verify');

  const audiences = Array.isArray(aud) ? aud : [aud];
  if (audiences.length === 0 || !audiences.every((each): each is string => typeof each === 'string'))
    throw refused('jwt', 'it has no aud');
  if (!audiences.includes(audience)) throw refused('audience', `it is not for ${audience}`);
  if (typeof exp !== 'number') throw refused('jwt', 'it has no exp');
  if (exp * 1000 <= now) throw refused('expired', 'it has expired: fetch a new one');
  for (const from of [nbf, iat])
    if (from !== undefined && (typeof from !== 'number' || from * 1000 > now + CLOCK_SKEW_MS))
      throw refused('not-yet', 'it is not valid yet');
  return { spiffeId: sub, trustDomain, path, expiresAt: exp * 1000, audience: audiences, claims: payload };
}

function parse(token: string) {
  try {
    return parseCompactJws(token, trustDomainLimits.jwtSvidChars);
  } catch (cause) {
    if (cause instanceof MalformedJws) throw refused('jwt', cause.message, cause);
    throw cause;
  }
}

function idOf(sub: string) {
  try {
    return parseSpiffeId(sub);
  } catch (cause) {
    if (cause instanceof MalformedSpiffeId) throw refused('jwt', `its sub is no SPIFFE ID: ${cause.message}`, cause);
    throw cause;
  }
}

function isSigned(algorithm: string, signed: Buffer, signature: Buffer, key: KeyObject): boolean {
  const { digest, pss, ecBytes } = signatures[algorithm] as (typeof signatures)[string];
  if (ecBytes !== undefined)
    return signature.length === ecBytes && verify(digest, signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
  if (!pss) return verify(digest, signed, key, signature);
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return verify(digest, signed, { key, ...padding }, signature);
}
