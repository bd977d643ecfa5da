import { constants } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connectionLimits } from './connection-limits.ts';
import type { IdentitySource, ServerIdentity } from './server-identity.ts';

/** One address where requests arrive, plain or over TLS. Nothing here knows what they are about. */
export interface Listener {
  address: { host: string; port: number };
  /** Looks for a new certificate now, and not only every few seconds: connections from now on get it. */
  refresh(): Promise<void>;
  close(): void;
}

export interface ListenOptions {
  host: string;
  port: number;
  tls?: {
    identity: IdentitySource;
    /** Asks clients for a certificate. None is refused here: who needs one judges it. */
    clientCertificates: boolean;
  };
}

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

export async function openListener({ host, port, tls }: ListenOptions, handle: Handle): Promise<Listener> {
  const server: Server | TlsServer = tls
    ? createTlsServer(
        {
          ...pem(tls.identity.current),
          ...tlsOptions,
          ...(tls.clientCertificates && { requestCert: true, rejectUnauthorized: false }),
        },
        handle,
      )
    : createServer(handle);
  // Streams stay open for as long as a task lives; slow bodies are cut off by the doors themselves.
  server.requestTimeout = 0;
  server.headersTimeout = connectionLimits.headersTimeoutMs;
  server.keepAliveTimeout = connectionLimits.keepAliveMs;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  const refresh = async () => {
    if (!tls || !('setSecureContext' in server) || !(await tls.identity.refresh())) return;
    server.setSecureContext({ ...pem(tls.identity.current), ...tlsOptions });
  };
  const timer = tls && setInterval(refresh, connectionLimits.certificateCheckMs);
  timer?.unref();
  return {
    address: { host: bound.address, port: bound.port },
    refresh,
    close() {
      clearInterval(timer);
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * INVARIANT: a connection has one certificate from its first byte to its last. Sessions are neither resumed, which would bring back a
 * peer without its chain, nor renegotiated.
 */
export const tlsOptions = {
  minVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  honorCipherOrder: true,
  handshakeTimeout: connectionLimits.handshakeTimeoutMs,
} as const;

const pem = ({ certificate, key }: ServerIdentity) => ({ cert: certificate, key });
