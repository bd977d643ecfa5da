import * as oauth from 'oauth4webapi';
import { Agent, fetch as undiciFetch } from 'undici';
import type { IssuedCertificate } from '../client-certificate/testing/authority.ts';
import { insecure, supportTask, type TokenResponse } from './agent-client.ts';
import type { House } from './house.ts';

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
    close: () => dispatcher.destroy(),
  };
}

/** An agent as a foreign library makes it, that has nothing but a certificate, or not even that. */
export type CertifiedClient = Awaited<ReturnType<typeof createCertifiedClient>>;

export async function createCertifiedClient(
  house: House,
  { own, clientId }: { own?: IssuedCertificate | undefined; clientId: string },
) {
  const tls = createTlsClient({ ca: house.mutualTlsCa as string, own });
  const base = house.mutualTlsUrl as string;
  const issuer = new URL(house.publicUrl);
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client: oauth.Client = { client_id: clientId, use_mtls_endpoint_aliases: true };
  const options = { ...insecure, [oauth.customFetch]: tls.fetch };
  const authentication = oauth.TlsClientAuth();
  return {
    server,
    close: tls.close,
    fetch: tls.fetch,
    /** A token request from raw parts; what is undefined is left out. */
    async post(form: Record<string, string | undefined> = {}, headers: Record<string, string> = {}) {
      const body = new URLSearchParams();
      const parts = {
        grant_type: 'client_credentials',
        client_id: clientId,
        authorization_details: JSON.stringify([supportTask]),
        resource: house.resource,
        ...form,
      };
      for (const [name, value] of Object.entries(parts)) if (value !== undefined) body.append(name, value);
      const response = await tls.fetch(`${base}/oauth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: body.toString(),
      });
      const answer = (await response.json()) as Record<string, unknown> & Partial<TokenResponse>;
      return { status: response.status, body: answer };
    },
    async startTask(details: object = supportTask): Promise<TokenResponse> {
      const parameters = { authorization_details: JSON.stringify([details]), resource: house.resource };
      const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options);
      return (await oauth.processClientCredentialsResponse(server, client, response)) as unknown as TokenResponse;
    },
    async call(token: string, headers: Record<string, string> = {}) {
      const response = await tls.fetch(`${base}/mcp`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
      const body = (await response.json()) as { code?: string; agent?: string; detail?: string };
      return { status: response.status, body, headers: response.headers };
    },
    async introspect(token: string) {
      const response = await oauth.introspectionRequest(server, client, authentication, token, options);
      return oauth.processIntrospectionResponse(server, client, response);
    },
    async revoke(token: string) {
      const response = await oauth.revocationRequest(server, client, authentication, token, options);
      await oauth.processRevocationResponse(response);
    },
  };
}
