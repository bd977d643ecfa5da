/** The trust domain as those see it who only want to know who somebody is. */
export interface SvidVerifier {
  /** X509-SVID §5; `chain` is DER, leaf first. Throws `unauthenticated` GatehouseErrors (`svid.*`) that say what is wrong. */
  verifySvid(chain: readonly Uint8Array[]): Promise<VerifiedSvid & { validUntil: number }>;
  /** JWT-SVID §5. `audience` must be among the token's. Throws `unauthenticated` GatehouseErrors (`svid.*`). */
  verifyJwtSvid(token: string, audience: string): Promise<VerifiedSvid & { audience: string[] }>;
  /** Whether an ID is of our own trust domain. */
  isOwn(spiffeId: string): boolean;
  /** Undefined for IDs of other trust domains, and for paths that we do not give. */
  principalOf(spiffeId: string): Principal | undefined;
  /** Why a verified SVID of one of our agents or workloads may do nothing now; undefined: it may. */
  whyRefused(svid: VerifiedSvid): Promise<string | undefined>;
}

export type Principal =
  | { kind: 'agent'; environment: string; name: string; task: string | null }
  | { kind: 'workload'; environment: string; name: string }
  | { kind: 'gatehouse' };

/** Whom a verified SVID stands for now. */
export interface Standing {
  /** Whom it names in our own trust domain, or whom a trust rule lets a foreign one stand for. */
  principal?: Principal | undefined;
  /** The rule that says so; undefined for our own trust domain. */
  rule?: string;
  /** Why one of a foreign trust domain stands for nobody. */
  stranger?: string;
}

export interface VerifiedSvid {
  spiffeId: string;
  /** Milliseconds since the epoch. */
  notAfter: number;
  /** Of our own agents and workloads only: the epoch that theirs was when it was made. */
  epoch?: number;
  /** Of the X.509-SVIDs of these only: when what it rests on was proven otherwise than with an SVID. Milliseconds since the epoch. */
  provenAt?: number;
}
