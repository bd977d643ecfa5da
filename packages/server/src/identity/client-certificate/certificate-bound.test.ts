import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { insecure, supportTask, type TokenResponse } from '../testing/agent-client.ts';
import { claimsOf } from '../testing/calls.ts';
import { type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createTlsClient } from '../testing/tls-client.ts';
import type { Authority, IssuedCertificate, LeafOptions } from './testing/authority.ts';

/** @proves rfc8705.binding, rfc8705.client-authentication, rfc8705.metadata */
let house: House;
let authority: Authority;
const closers: (() => Promise<unknown>)[] = [];

const spiffeId = (name: string, task?: string) =>
  `spiffe://example.test/env/prod/agent/${name}${task === undefined ? '' : `/task/${task}`}`;

before(async () => {
  house = await openHouse({ mutualTls: true });
  authority = house.authority as Authority;
  await house.furnish();
  for (const name of ['agent-a', 'agent-b', 'agent-killed']) await house.enrol(name);
});
after(async () => {
  assertCleanLog(house);
  for (const close of closers) await close();
  await house.close();
});

/** An agent as a foreign library makes it, that has nothing but a certificate. */
async function connect(own?: IssuedCertificate, clientId = spiffeId('agent-a')) {
  const tls = createTlsClient({ ca: authority.root, own });
  closers.push(tls.close);
  const issuer = new URL(house.publicUrl);
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client: oauth.Client = { client_id: clientId, use_mtls_endpoint_aliases: true };
  const options = { ...insecure, [oauth.customFetch]: tls.fetch };
  const base = house.mutualTlsUrl as string;
  return {
    server,
    post: (form: Record<string, string>, headers: Record<string, string> = {}) =>
      tls.fetch(`${base}/oauth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: clientId,
          authorization_details: JSON.stringify([supportTask]),
          resource: house.resource,
          ...form,
        }).toString(),
      }),
    async startTask(details: object = supportTask): Promise<TokenResponse> {
      const parameters = { authorization_details: JSON.stringify([details]), resource: house.resource };
      const response = await oauth.clientCredentialsGrantRequest(
        server,
        client,
        oauth.TlsClientAuth(),
        parameters,
        options,
      );
      return (await oauth.processClientCredentialsResponse(server, client, response)) as unknown as TokenResponse;
    },
    call: async (token: string, headers: Record<string, string> = {}, path = '/mcp') => {
      const response = await tls.fetch(base + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
      return {
        status: response.status,
        body: (await response.json()) as { code?: string; agent?: string; detail?: string },
        headers: response.headers,
      };
    },
    async introspect(token: string) {
      const response = await oauth.introspectionRequest(server, client, oauth.TlsClientAuth(), token, options);
      return oauth.processIntrospectionResponse(server, client, response);
    },
    async revoke(token: string) {
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(server, client, oauth.TlsClientAuth(), token, options),
      );
    },
  };
}

const issue = (name: string, options: LeafOptions = {}) => authority.issue({ uris: [spiffeId(name)], ...options });

describe('an agent with nothing but an X.509-SVID', () => {
  test('starts a task over mutual TLS, and its token is bound to the certificate', async () => {
    const own = await issue('agent-a');
    const agent = await connect(own);
    const granted = await agent.startTask();
    assert.equal(granted.token_type, 'bearer');
    const claims = claimsOf(granted.access_token);
    assert.deepEqual(claims.cnf, { 'x5t#S256': own.thumbprint });
    assert.equal(claims.sub, spiffeId('agent-a'));
    assert.equal(claims.aud, house.resource);
    const { status, body } = await agent.call(granted.access_token);
    assert.deepEqual([status, body.agent], [200, 'agent-a']);

    const shown = await agent.introspect(granted.access_token);
    assert.deepEqual([shown.active, shown.cnf, shown.token_type], [true, { 'x5t#S256': own.thumbprint }, 'Bearer']);
    const [record] = (await house.records('token.issue')).slice(-1);
    assert.match(record?.changes[0] ?? '', new RegExp(`bound to certificate ${own.thumbprint}, via tls_client_auth$`));

    await agent.revoke(granted.access_token);
    await house.settled();
    assert.equal((await agent.call(granted.access_token)).body.code, 'token.revoked');
  });

  test('may call itself by its name too', async () => {
    const agent = await connect(await issue('agent-a'), 'agent-a');
    assert.equal((await agent.call((await agent.startTask()).access_token)).status, 200);
  });
});

describe('a stolen token that is bound to a certificate', () => {
  let token: string;
  before(async () => {
    token = (await (await connect(await issue('agent-a'))).startTask()).access_token;
  });
  const refusedAs = async (thief: Awaited<ReturnType<typeof connect>>, code: string) => {
    const { status, body, headers } = await thief.call(token);
    assert.deepEqual([status, body.code], [401, code], body.detail);
    assert.match(headers.get('www-authenticate') ?? '', /error="invalid_token"/);
  };

  test('is nothing over TLS without a certificate', async () =>
    refusedAs(await connect(), 'token.certificate-missing'));
  test('is nothing with another certificate of the same agent', async () =>
    refusedAs(await connect(await issue('agent-a')), 'token.other-certificate'));
  test("is nothing with another agent's certificate", async () =>
    refusedAs(await connect(await issue('agent-b')), 'token.other-certificate'));
  test('is nothing on the port that asks for no certificate', async () => {
    const response = await fetch(house.resource, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual(
      [response.status, ((await response.json()) as { code: string }).code],
      [401, 'token.certificate-missing'],
    );
  });
  test('is nothing with the certificate named in a header', async () => {
    const own = await issue('agent-a');
    const der = own.cert.split('-----')[2]?.replaceAll(/\s/g, '');
    const thief = await connect();
    const spellings: Record<string, string>[] = [
      { 'client-cert': `:${der}:` },
      { 'x-forwarded-client-cert': `Cert="${encodeURIComponent(own.cert)}"` },
      { 'x-client-cert': encodeURIComponent(own.cert) },
      { 'x-ssl-cert': encodeURIComponent(own.cert) },
    ];
    for (const headers of spellings) {
      const { status, body } = await thief.call(token, headers);
      assert.deepEqual([status, body.code], [401, 'token.certificate-missing']);
    }
  });
});
