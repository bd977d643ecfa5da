import { z } from 'zod';
import { gatewaySetting } from './gateways.ts';
import { email, type Lifecycle, lifecycle, name } from './names.ts';

/**
 * Identities that others vouch for: an issuer's token (or AWS's word) counts as one agent or workload where a rule says so. Nothing is
 * believed that no rule names.
 */
const text = z.string().max(500);

/**
 * An exact value; `{pattern}`, in which `*` stands for any text without `:` and `/`, and `**` for any text; or `{contains}`, for a claim
 * that is a list. There are no regular expressions. A number is not its text: `"74"` does not match 74.
 */
export const claimCondition = z.union([
  text,
  z.number().int(),
  z.boolean(),
  z.strictObject({ pattern: z.string().min(1).max(300) }),
  z.strictObject({ contains: text }),
]);
export type ClaimCondition = z.infer<typeof claimCondition>;

/** A claim's name; one inside another is named by a JSON Pointer (RFC 6901): `/kubernetes.io/namespace`. */
const claimName = z
  .string()
  .min(1)
  .max(200)
  .regex(/^([^/]|\/[^/]*\/.)/, 'a name, or a JSON Pointer of two steps or more');

const pem = z.string().max(65_536);
const jwk = z.record(z.string().max(100), z.unknown());

export const trustIssuer = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('oidc'),
    /** Exactly the `iss` of its tokens. Presets that have one issuer only fill it in. */
    url: z
      .url({ protocol: /^https?$/ })
      .max(500)
      .optional(),
    /** Whose tokens these are, so that what a rule for them must say is known. */
    preset: z.enum(['github-actions', 'gitlab', 'kubernetes', 'gcp', 'azure']).optional(),
    /** Its keys, where it cannot be reached: nothing is fetched then. */
    jwks: z.strictObject({ keys: z.array(jwk).min(1).max(20) }).optional(),
    /** PEM certificates to trust for its addresses instead of the system's. */
    ca: pem.optional(),
    /** Loopback and private addresses are refused unless an operator says that the issuer lives there. */
    allowPrivateAddress: z.boolean().default(false),
  }),
  z.strictObject({
    type: z.literal('aws-iam'),
    /** Another STS than those of AWS, for what speaks its protocol. */
    endpoint: z
      .url({ protocol: /^https?$/ })
      .max(500)
      .optional(),
    allowPrivateAddress: z.boolean().default(false),
  }),
  z.strictObject({
    type: z.literal('spiffe'),
    /** Of a `TrustDomain` of this workspace. */
    trustDomain: z.string().min(1).max(255),
  }),
]);
export type TrustIssuer = z.infer<typeof trustIssuer>;

export const trustRuleManifest = z.strictObject({
  kind: z.literal('TrustRule'),
  name,
  description: z.string().max(2_000).optional(),
  issuer: trustIssuer,
  /** The only audience (`aud`) that its tokens may have; the public URL of this Gatehouse where none is given. */
  audience: text.min(1).optional(),
  /** Every one must hold. */
  claims: z.record(claimName, claimCondition).default({}),
  /** Whom a matching token stands for: exactly one agent, or one workload. */
  agent: name.optional(),
  workload: name.optional(),
  /** Oldest token that is taken, by its `iat`. Default: an hour; a day for azure. */
  maxAgeSeconds: z.number().int().min(60).max(86_400).optional(),
  /**
   * `once`: each token is taken a single time. `same-key`: as often as it is presented with the key of its first use, for platforms that hand
   * out one token for many requests (the default of kubernetes, gcp, azure and spiffe).
   */
  reuse: z.enum(['once', 'same-key']).optional(),
  state: z.enum(['active', 'suspended']).default('active'),
});
export type TrustRuleManifest = z.infer<typeof trustRuleManifest>;

/** A service that is not an agent: it holds no secret here, proves itself by a trust rule, and may start tasks of the agents it names. */
export const workloadManifest = z.strictObject({
  kind: z.literal('Workload'),
  name,
  description: z.string().max(2_000).optional(),
  owner: email,
  purpose: z.string().min(1).max(500),
  environment: name,
  state: lifecycle.default('active'),
  /** Agents of its environment whose tasks it may start, vouching for their intent and parameters. */
  starts: z.array(name).max(100).default([]),
  /** It is another gateway, which asks here for decisions (AuthZEN, Envoy ext_authz) and makes the calls itself. */
  gateway: gatewaySetting.optional(),
});
export type WorkloadManifest = z.infer<typeof workloadManifest>;

export interface TrustRuleView {
  manifest: TrustRuleManifest;
  findings: TrustFinding[];
  lastUsedAt: number | null;
  uses: number;
}

/** What a person should look at in a rule. Errors are refused at apply and never get here. */
export interface TrustFinding {
  rule: string;
  code: string;
  message: string;
}

export interface TrustTest {
  /** Whom the token stands for; null when it is refused. */
  match: { rule: string; agent: string | null; workload: string | null } | null;
  /** Why it is refused and what to do; null when it is not. */
  problem: string | null;
  /** What the token says, whether or not it was believed. */
  claims: unknown;
  /** Rules of its issuer, or, where there is none, of all issuers. */
  rules: { rule: string; matches: boolean; checks: { what: string; ok: boolean; detail: string }[] }[];
}

export interface WorkloadView {
  name: string;
  spiffeId: string;
  state: Lifecycle;
  killedAt: number | null;
  epoch: number;
  manifest: WorkloadManifest;
}

export interface JoinTokenView {
  id: string;
  agent: string;
  addresses: string[];
  createdBy: string;
  createdAt: number;
  expiresAt: number;
  usedAt: number | null;
}

/** `sts:GetCallerIdentity`, signed by the caller (SigV4) and sent by Gatehouse: the signature is the proof. */
export const signedAwsRequest = z.strictObject({
  method: z.literal('POST'),
  url: z.string().max(500),
  headers: z.record(z.string().max(100), z.string().max(8_000)),
  body: z.string().max(500),
});
export type SignedAwsRequest = z.infer<typeof signedAwsRequest>;

/** How an agent or workload that has no key here proves who it is. */
export const outsideProof = z.union(
  [z.strictObject({ token: z.string().min(1).max(16_384) }), z.strictObject({ aws: signedAwsRequest })],
  { error: 'expected {"token": "JWT"} or {"aws": {…}}' },
);
export type OutsideProof = z.infer<typeof outsideProof>;

/** `POST /enrol`; the DPoP proof beside it is by the key that is enrolled, and its `ath` is of the credential. */
export const enrolBody = z.union(
  [
    z.strictObject({ agent: name.optional(), token: z.string().min(1).max(16_384) }),
    z.strictObject({ agent: name.optional(), aws: signedAwsRequest }),
    z.strictObject({ agent: name.optional(), join_token: z.string().min(1).max(200) }),
  ],
  { error: 'expected exactly one of "token", "aws" and "join_token"' },
);
export type EnrolBody = z.infer<typeof enrolBody>;

export interface Enrolled {
  agent: string;
  spiffe_id: string;
  /** RFC 7638 thumbprint of the key that it proves itself with from now on. */
  key: string;
  issuer: string;
  token_endpoint: string;
}

export const joinTokenBody = z.strictObject({
  ttlSeconds: z.number().int().min(60).max(86_400).default(3_600),
  /** Addresses or ranges (CIDR) that it may be used from; anywhere where none is given. */
  addresses: z.array(z.string().max(64)).max(20).default([]),
});

export interface FederationApi {
  'GET /trust-rules': { items: TrustRuleView[] };
  'POST /trust-rules/test': TrustTest;
  'GET /agents/:name/join-tokens': { items: JoinTokenView[] };
  'POST /agents/:name/join-tokens': JoinTokenView & { token: string };
  'DELETE /agents/:name/join-tokens/:id': { ok: true };
  'GET /workloads': { items: WorkloadView[] };
  'POST /workloads/:name/state': WorkloadView;
  'POST /workloads/:name/kill': WorkloadView;
}
