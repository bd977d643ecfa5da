/** Bounds of what authorization servers may do to us, and of what people begin there. */
export const oauthLimits = {
  /** A metadata document or token answer of a server that authorizes us; none needs more. */
  oauthBytes: 256 * 1024,
  /** One request to an authorization server. */
  oauthTimeoutMs: 10_000,
  /** Characters of an access token: what fits into a request header everywhere. */
  accessTokenChars: 12_288,
  /** One replica renews a token at a time; one that dies meanwhile holds the others up for this long. */
  renewalLeaseMs: 30_000,
  /** A person has this time to grant access in the browser. */
  connectTtlMs: 10 * 60_000,
  /** Connects that have begun and wait for a browser. */
  pendingConnects: 100,
};

export type OAuthLimits = typeof oauthLimits;
