/** Bounds of what outside issuers and their tokens may ask of us. Documented in docs/reference/limits.md. */
export const federationLimits = {
  /** One outside token; the largest that platforms issue (with many groups) have about 8 KiB. Longer text is not looked at. */
  tokenChars: 16_384,
  /** Keys of one issuer; the largest public issuers have about ten. More is an attack or another kind of document. */
  keysPerIssuer: 100,
  /** A discovery document or key set. */
  documentBytes: 256 * 1024,
  /** Key sets are asked for again after this time. */
  keysFreshMs: 10 * 60_000,
  /** While an issuer cannot be reached, its last keys are taken for so long: a key that it has withdrawn meanwhile as well. */
  keysStaleMs: 24 * 3_600_000,
  /** One issuer is asked at most so often, whatever key ids tokens name and however often it fails. */
  refetchMs: 30_000,
  /** Difference of clocks that is forgiven in `exp`, `nbf` and `iat`. */
  leewaySeconds: 60,
  /** Signed requests of AWS callers are good for 15 minutes there; here for five. */
  awsRequestSeconds: 300,
  /** Signed AWS requests that one replica has STS check at once. Anybody may send one, and each may take five seconds. */
  stsCalls: 4,
  /** Signed AWS requests that wait for their turn at STS; more are answered 503. */
  stsWaiting: 32,
  /** Of these from one address (of IPv6: from one /64), so that one sender of noise keeps nobody out. Behind a proxy all share its address. */
  stsWaitingPerSource: 8,
  /** Refusals of verified tokens that one replica records in a minute, and as many proofs that an outage kept from being verified; the rest are in its log. */
  recordedRefusalsPerMinute: 60,
  /** Join tokens of one agent that wait to be used. */
  openJoinTokensPerAgent: 20,
} as const;
