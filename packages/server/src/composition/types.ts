import type { Manifest } from '@gatehouse/protocol';
import type { Applied } from '../governance/index.ts';
import type { Clock, Config, Log } from '../platform/index.ts';

export interface RunningServer {
  config: Config;
  /** Where it listens, which is not always what the public URL says. */
  address: { host: string; port: number };
  /** Of the port for mutual TLS, where there is one. */
  mutualTlsAddress?: { host: string; port: number } | undefined;
  /** Of the port for Envoy's external authorization, where there is one. */
  extAuthzAddress?: { host: string; port: number } | undefined;
  /** Looks for new TLS certificates now. */
  refreshCertificates(): Promise<void>;
  /** For an operator on this host: signs a person in once. */
  createSignInLink(email: string): Promise<{ url: string; expiresAt: number }>;
  /** What `POST /apply` does: all or nothing, then each new or changed server is asked what it serves. */
  apply(manifests: Manifest[], by: string): Promise<Applied>;
  /** True until a workspace has been applied. */
  isEmpty(): boolean;
  /** People who have no passkey yet. */
  unenrolled(): Promise<string[]>;
  /** `METHOD /path` of every route at which an agent gets something to act with: what law 6 is tried on. */
  issuancePaths(): string[];
  close(): Promise<void>;
}
export interface StartOptions {
  log?: Log;
  clock?: Clock;
  consoleDir?: string;
  streamRestMs?: number;
  clientMetadata?: { allowPrivateAddress: boolean; ca: string };
}
