/** Bounds of the trust domain, with their reasons; documented in docs/reference/limits.md. */
export const trustDomainLimits = {
  /** Life of an X.509-SVID: there is no revocation list, so it is what a stolen one is good for elsewhere. */
  x509SvidTtlSeconds: 3_600,
  /** A chain of SVIDs of which each was got with the one before: then whoever renews proves itself otherwise again. A stolen one lives no longer. */
  svidRenewalSeconds: 24 * 3_600,
  /** Life of a JWT-SVID unless a longer one is asked for: whoever sees it can use it. */
  jwtSvidTtlSeconds: 300,
  /** The longest life of a JWT-SVID that can be asked for. */
  jwtSvidMaxTtlSeconds: 3_600,
  /** Audiences of one JWT-SVID: each of them could use it at the others (JWT-SVID, section 3.2). */
  jwtSvidAudiences: 4,
  /** Life of Gatehouse's own certificate for clouds: each session there is got with a new one. */
  cloudCertificateSeconds: 900,
  /** Life of the authority that clouds trust: whoever runs their accounts has to tell them of the next one. */
  cloudAuthorityDays: 3_650,
  /** How long before it signs the next authority for clouds is shown: they have to be told of it first. */
  cloudAuthorityLeadDays: 7,
  /** `spiffe_refresh_hint` of our bundle, and of a foreign one that gives none. */
  bundleRefreshHintSeconds: 300,
  /** Refresh hints before a new root or key signs: federated domains have then fetched it several times. */
  bundlePublishHints: 5,
  /** While a foreign endpoint does not answer, its last bundle counts for so long (or three of its refresh hints, if that is longer), and then for nothing. */
  bundleStaleSeconds: 24 * 3_600,
  /** Bytes of a foreign bundle. */
  bundleBytes: 256 * 1024,
  /** Keys in a foreign bundle: each is tried, and parsed at every start. */
  bundleKeys: 64,
  /** Certificates of a presented chain, leaf included. */
  chainCertificates: 5,
  /** Bytes of one presented certificate. */
  certificateBytes: 8_192,
  /** Characters of a JWT-SVID that is to be verified. */
  jwtSvidChars: 8_192,
  /** SVIDs that one agent or workload gets in a minute: rotation asks for two in an hour. */
  svidsPerAgentPerMinute: 60,
  /** One request for an SVID: a certification request is smaller than a kilobyte. */
  requestBytes: 32 * 1024,
};

export const SVID_MAX_TTL_MS = trustDomainLimits.x509SvidTtlSeconds * 1_000;
export const RENEWAL_MS = trustDomainLimits.svidRenewalSeconds * 1_000;
/** How long a new root, intermediate or JWT key is published before it signs. */
export const PUBLISH_LEAD_MS =
  trustDomainLimits.bundlePublishHints * trustDomainLimits.bundleRefreshHintSeconds * 1_000;
export const CLOUD_CERTIFICATE_MS = trustDomainLimits.cloudCertificateSeconds * 1_000;
export const CLOUD_ROOT_LIFE_MS = trustDomainLimits.cloudAuthorityDays * 86_400_000;
export const CLOUD_LEAD_MS = trustDomainLimits.cloudAuthorityLeadDays * 86_400_000;
/** Verifiers' and replicas' clocks may be off by this. */
export const CLOCK_SKEW_MS = 60_000;
