import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { canary } from '../support/canary.ts';
import { verifyAssertion } from './identity-assertion.ts';

export interface FakeFederatedCredential {
  issuer: string;
  subject: string;
  audience: string;
}

/**
 * A fake of Microsoft Entra's token endpoint (v2.0) for an application with federated credentials, written from its documentation; and of a storage
 * account that takes its tokens. Issuer, subject and audience are compared as wholes, as Entra does.
 */
export async function startFakeAzure(federated: () => FakeFederatedCredential[]) {
  const tenant = '3f2a7c10-0000-4000-8000-000000000001';
  const client = '3f2a7c10-0000-4000-8000-000000000002';
  const tokens = new Map<string, string>();
  const subjects: string[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const answer = (status: number, json: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    const path = (request.url ?? '').split('?')[0];
    if (path === '/reports/a.csv') {
      const resource = tokens.get((request.headers.authorization ?? '').replace(/^Bearer /, ''));
      if (resource === 'https://storage.azure.com') return response.end('a report');
      return answer(401, { error: { code: 'InvalidAuthenticationInfo' } });
    }
    const refuse = (error: string, code: number, description: string) =>
      answer(error === 'invalid_client' ? 401 : 400, {
        ...{ error, error_codes: [code], timestamp: new Date().toISOString() },
        error_description: `AADSTS${code}: ${description} Trace ID: 1\r\nCorrelation ID: 2`,
      });
    if (request.method !== 'POST' || path !== `/${tenant}/oauth2/v2.0/token`)
      return refuse('invalid_request', 90002, 'Tenant not found.');
    const form = Object.fromEntries(new URLSearchParams(body));
    if (form.client_id !== client) return refuse('unauthorized_client', 700016, 'Application was not found.');
    if (
      form.grant_type !== 'client_credentials' ||
      form.client_assertion_type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    )
      return refuse('invalid_request', 900144, 'The request body must contain a grant and an assertion.');
    const [, resource] = /^(.+)\/\.default$/.exec(form.scope ?? '') ?? [];
    if (resource !== 'https://storage.azure.com' && resource !== 'https://vault.azure.net')
      return refuse('invalid_resource', 500011, `The resource principal named ${form.scope} was not found.`);
    const matched = [];
    for (const { issuer, subject, audience } of federated()) {
      const claims = await verifyAssertion(form.client_assertion ?? '', issuer, audience).catch(() => undefined);
      if (claims?.sub === subject && claims.aud === audience) matched.push(subject);
    }
    if (matched.length === 0)
      return refuse('invalid_client', 700213, 'No matching federated identity record found for presented assertion.');
    subjects.push(...matched);
    const token = canary('eyJ0eXAi');
    tokens.set(token, resource);
    return answer(200, { token_type: 'Bearer', expires_in: 4_500, ext_expires_in: 4_500, access_token: token });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ tenant, client, tokens, subjects },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
export type FakeAzure = Awaited<ReturnType<typeof startFakeAzure>>;
