import { z } from 'zod';
import { outsideProof } from './federation.ts';

/** The trust domain's part of the control API, and the bodies of the routes at which agents get SVIDs. */

/** `next` is published and does not sign yet; `verifying` signs no more, and what it signed may still be alive. */
export type KeyState = 'next' | 'signing' | 'verifying';

/** A root or intermediate of the trust domain. Times are milliseconds since the epoch. */
export interface AuthorityView {
  /** SHA-256 of the certificate, base64url. */
  id: string;
  kind: 'root' | 'intermediate';
  state: KeyState;
  subject: string;
  /** `id` of the root that signed an intermediate. */
  issuer: string | null;
  /** False for a root whose key is kept elsewhere. */
  keyHeldHere: boolean;
  createdAt: number;
  signsFrom: number;
  notAfter: number;
  /** PEM. */
  certificate: string;
}

export interface FederatedView {
  name: string;
  bundleUrl: string;
  /** `waiting`: never reached. `stale`: the last good bundle is older than three of its refresh hints; it still counts, until `trustedUntil`. `expired`: it does not. */
  state: 'fresh' | 'stale' | 'expired' | 'waiting';
  /** When the bundle stops to count unless its endpoint answers before. */
  trustedUntil: number | null;
  sequence: number | null;
  x509Roots: number;
  jwtKeys: number;
  fetchedAt: number | null;
  triedAt: number | null;
  /** Why the last attempt failed. */
  problem: string | null;
}

export interface TrustDomainView {
  name: string;
  /** `spiffe_sequence` and `spiffe_refresh_hint` of the bundle. */
  sequence: number;
  refreshHintSeconds: number;
  authorities: AuthorityView[];
  jwtKeys: { id: string; state: KeyState; createdAt: number; signsFrom: number }[];
  federated: FederatedView[];
}

export const trustDomainBodies = {
  rotate: z.strictObject({
    keys: z.enum(['x509', 'jwt']).default('x509'),
    /** Destroys every key of now: what it signed is refused at once. */
    compromised: z.boolean().default(false),
  }),
  importIntermediate: z.strictObject({ chain: z.string().max(32_768) }),
  exportRoot: z.strictObject({ passphrase: z.string().min(12).max(1_000) }),
  forgetRootKey: z.strictObject({ id: z.string().max(100) }),
} as const;

export interface TrustDomainApi {
  'GET /trust-domain': TrustDomainView;
  'POST /trust-domain/rotate': { id: string; signsFrom: number };
  'POST /trust-domain/intermediate/request': { id: string; csr: string };
  'POST /trust-domain/intermediate/import': { id: string; signsFrom: number };
  'POST /trust-domain/root/export': { id: string; certificate: string; key: string };
  'POST /trust-domain/root/forget': { ok: true };
}

/** RFC 7523 §2.2, for an agent that has no access token: it says who it is with its own key. */
const clientAssertion = z.string().max(8_192).optional();

/** Of a workload: what a trust rule takes for it. */
const proof = outsideProof.optional();

/** Bodies of `POST /svid/x509`, `POST /svid/jwt` and `POST /svid/bundles`. */
export const svidBodies = {
  x509: z.strictObject({
    /** PKCS #10 of a P-256 key, PEM or DER in base64. */
    csr: z.string().max(8_192),
    clientAssertion,
    proof,
  }),
  jwt: z.strictObject({
    audience: z.array(z.string().min(1).max(1_024)).min(1).max(4),
    ttlSeconds: z.number().int().min(30).max(3_600).optional(),
    clientAssertion,
    proof,
  }),
  bundles: z.strictObject({ clientAssertion, proof }),
} as const;

/** SPIFFE bundles (JWK sets) by trust domain. */
export interface SvidBundles {
  trustDomain: string;
  bundles: Record<string, Record<string, unknown>>;
}

export interface X509SvidAnswer extends SvidBundles {
  spiffeId: string;
  /** DER in base64, leaf first, without the root. */
  certificates: string[];
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

export interface JwtSvidAnswer {
  spiffeId: string;
  token: string;
  expiresAt: number;
}
