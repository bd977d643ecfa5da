import { Agent, fetch as undiciFetch } from 'undici';
import type { IssuedCertificate } from '../client-certificate/testing/authority.ts';

/** A fetch over TLS, with or without a client certificate; every call of one client goes over the same connection while it lives. */
export function createTlsClient({
  ca,
  own,
}: {
  ca: string;
  own?: Pick<IssuedCertificate, 'cert' | 'key'> | undefined;
}) {
  const dispatcher = new Agent({ connections: 1, connect: { ca, ...(own && { cert: own.cert, key: own.key }) } });
  return {
    fetch: ((input: string, init: object) => undiciFetch(input, { ...init, dispatcher })) as unknown as typeof fetch,
    close: () => dispatcher.close(),
  };
}
