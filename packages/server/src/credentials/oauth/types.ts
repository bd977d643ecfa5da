import type { CryptoKey } from 'oauth4webapi';
import type { Secret } from '../../platform/index.ts';

export interface ProofKey {
  privateKey: CryptoKey;
  publicKey: CryptoKey;
}

/** An access token of the gate's own for one server in one environment. It is attached to requests to that server's origin only. */
export interface UpstreamToken {
  value: Secret;
  /** With it the token is sent as `DPoP`, with a proof; without as `Bearer`. */
  key: ProofKey | undefined;
  issuer: string;
  resource: string;
  clientId: string;
  scopes: string[];
  /** Null: it does not say. */
  expiresAt: number | null;
  refreshToken: Secret | undefined;
}
