import type { KeyObject } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Task, TrustDomainView } from '@gatehouse/protocol';
import type { Agent, Workload } from '../../registry/index.ts';
import type { Guard } from '../../storage/index.ts';
import type { Principal, SvidVerifier, VerifiedSvid } from '../client-certificate/svid-verifier.ts';
import type { SpiffeBundle } from './bundle.ts';

export type { Principal, VerifiedSvid };

/** For whom an SVID is made. Whoever asks for one has proven the agent, and found the task running. */
export type SvidSubject =
  | { agent: Agent; task: Task | null }
  /** `guards` are the fences that what lets this workload in must still have when the SVID is recorded. */
  | { workload: Workload; guards: Guard[] };

export interface IssueX509 {
  subject: SvidSubject;
  /** PKCS #10 of an ECDSA P-256 key (RFC 2986), PEM or DER. Names in it count for nothing. */
  csr: string | Uint8Array;
  /** How the agent has proven itself, for the record: `private_key_jwt`, `access_token`, `x509-svid` … */
  via: string;
  /** When it last proved itself otherwise than with an SVID, in milliseconds since the epoch; without it: now. */
  provenAt?: number | undefined;
}

export interface IssuedX509 {
  spiffeId: string;
  /** DER, leaf first, without the root. */
  chain: Buffer[];
  /** Milliseconds since the epoch. */
  notAfter: number;
  /** SHA-256 of the leaf, base64url: `x5t#S256`. */
  thumbprint: string;
}

export interface IssueJwt {
  subject: SvidSubject;
  audience: string[];
  via: string;
  ttlSeconds?: number;
  provenAt?: number | undefined;
}

export interface IssuedJwt {
  spiffeId: string;
  token: string;
  expiresAt: number;
}

/** For the tools of a task: a lease of a credential provider. */
export interface IssueForTools {
  environment: string;
  /** Both empty: a test of the provider, for nobody. */
  agent: string;
  task: string;
  provider: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

export interface IssuedForTools extends Pick<IssuedX509, 'spiffeId' | 'notAfter'> {
  /** PEM, leaf first, without the root. */
  chain: string;
  /** PEM, PKCS #8. */
  key: string;
}

export interface VerifiedX509Svid extends VerifiedSvid {
  trustDomain: string;
  /** Until then the chain needs not be verified again: the end of its first certificate or, of another trust domain, of the trust in its bundle. */
  validUntil: number;
  /** SHA-256 of the leaf certificate, base64url: what `cnf` has as `x5t#S256` (RFC 8705 §3.1). */
  thumbprint: string;
  /** SubjectPublicKeyInfo of the leaf. */
  publicKey: KeyObject;
}

export interface VerifiedJwtSvid extends VerifiedSvid {
  trustDomain: string;
  audience: string[];
  claims: Record<string, unknown>;
}

/**
 * The workspace's own trust domain, and those it federates with. Verifying says *who* somebody is, and nothing about what they may
 * do; of our own agents `whyRefused` says whether they may do anything at all now.
 */
export interface TrustDomain extends SvidVerifier {
  readonly name: string;

  /** An X.509-SVID for the key of a CSR; recorded before it leaves, in a write that finds the agent and task unchanged. */
  issueX509(issue: IssueX509): Promise<IssuedX509>;
  /**
   * An X.509-SVID with its key, for what a task's tools call. It names the task and the provider (`…/task/ID/credential/PROVIDER`), and nobody whom a
   * door of ours lets in: a tool server that has it is not the agent. Recorded in the same way.
   */
  issueForTools(issue: IssueForTools): Promise<IssuedForTools>;
  /** A JWT-SVID; recorded in the same way. */
  issueJwt(issue: IssueJwt): Promise<IssuedJwt>;
  /**
   * Gatehouse's own X.509-SVID (`spiffe://TRUST-DOMAIN/gatehouse`) for its listeners, with a new key; `names` become DNS or IP SANs.
   * Ask again at half of its life, and when it is no longer signed: its intermediate was destroyed.
   */
  serverSvid(names: string[]): Promise<IssuedX509 & { privateKey: KeyObject; isSigned(): boolean }>;

  /**
   * X.509-SVID §5: RFC 5280 path to the bundle of the leaf's own trust domain, then the leaf's rules. `chain` is DER, leaf first.
   * Throws `unauthenticated` GatehouseErrors (`svid.*`) that say what is wrong.
   */
  verifySvid(chain: readonly Uint8Array[]): Promise<VerifiedX509Svid>;
  /** JWT-SVID §5. `audience` must be among the token's. Throws `unauthenticated` GatehouseErrors (`svid.*`). */
  verifyJwtSvid(token: string, audience: string): Promise<VerifiedJwtSvid>;
  /** Why a verified SVID of one of our agents may do nothing now (unknown, stopped, changed since, task over); undefined: it may. */
  whyRefused(svid: VerifiedSvid): Promise<string | undefined>;

  /** Our own bundle, as the bundle endpoint serves it. */
  bundle(): Promise<SpiffeBundle>;
  /** The last good bundle of every trust domain that is declared and was reached, by name. */
  foreignBundles(): ReadonlyMap<string, SpiffeBundle>;
  /** PEM of our roots: what a TLS listener that asks for client certificates names as acceptable. */
  rootsPem(): Promise<string>;

  view(): Promise<TrustDomainView>;
  /**
   * The next intermediate, under a new root when the root is held here and old or `compromised`. Published now, signs after
   * `PUBLISH_LEAD_MS`. With `compromised` everything of now is destroyed at once and nothing under it is accepted here any more.
   */
  rotate(options: { by: string; compromised?: boolean }): Promise<{ id: string; signsFrom: number }>;
  /** JWT-SVID keys rotate by themselves. */
  rotateJwt(options: { by: string; compromised?: boolean }): Promise<{ id: string; signsFrom: number }>;
  /** PKCS #10 (PEM) for an intermediate of a root that is held elsewhere; its key stays sealed here. */
  requestIntermediate(options: { by: string }): Promise<{ id: string; csr: string }>;
  /** PEM of the signed intermediate and its root, in that order. */
  importIntermediate(options: { by: string; chain: string }): Promise<{ id: string; signsFrom: number }>;
  /** PKCS #8, encrypted with the passphrase (PBES2, AES-256). */
  exportRoot(options: { by: string; passphrase: string }): Promise<{ id: string; certificate: string; key: string }>;
  /** Removes the private key of the root from the database. `id` must be that of the root, so that nobody removes another one. */
  forgetRootKey(options: { by: string; id: string }): Promise<void>;

  /** Answers the bundle endpoint and `/svid/*`; true when the request was one of them. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** `METHOD /path` of every route that mints something an agent can act with. */
  issuancePaths(): string[];
  refresh(): Promise<void>;
  /** Fetches what is due of foreign bundles, and rotates what is old. Called every few seconds; returns when done. */
  tick(): Promise<void>;
}
