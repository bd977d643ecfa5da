import * as oauth from 'oauth4webapi';
import { type AgentSvid, createCertifiedFetch } from '../client-certificate.ts';
import type { AgentCredential } from './credential.ts';

/** The agent's X.509-SVID over mutual TLS (`tls_client_auth`, RFC 8705). */
export function svidCredential(svid: AgentSvid): AgentCredential {
  return { authentication: async () => oauth.TlsClientAuth(), connect: createCertifiedFetch(svid) };
}
