import type * as oauth from 'oauth4webapi';
import type { CertifiedFetch } from '../client-certificate.ts';

/**
 * How an agent proves at the token endpoint that it is itself; a file for each way. None of them is a secret that is shared with the
 * server. What it needs is read again for every new token: keys, certificates and platform tokens are replaced under our hands.
 */
export interface AgentCredential {
  /** Client authentication (RFC 6749 §2.3). */
  authentication(): Promise<oauth.ClientAuth>;
  /** A token of an outside issuer that stands for the agent; the grant is then that of RFC 7523 §2.1. */
  assertion?(audience: string): Promise<string>;
  /** Connections that are made with the agent's certificate; its tokens are good over them only. */
  connect?(): Promise<CertifiedFetch>;
}
