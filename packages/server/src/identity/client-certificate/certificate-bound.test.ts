import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { claimsOf } from '../testing/calls.ts';
import { createCertifiedClient } from '../testing/certified-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import type { Authority, IssuedCertificate, LeafOptions } from './testing/authority.ts';

/** @proves rfc8705.binding, rfc8705.client-authentication, rfc8705.metadata */
let house: House;
let authority: Authority;
const closers: (() => Promise<unknown>)[] = [];

const spiffeId = (name: string) => `spiffe://example.test/env/prod/agent/${name}`;
const connect = async (own?: IssuedCertificate, clientId = spiffeId('agent-a')) => {
  const client = await createCertifiedClient(house, { own, clientId });
  closers.push(client.close);
  return client;
};

before(async () => {
  house = await openHouse({ mutualTls: true });
  ({ authority } = house);
  await house.furnish();
  for (const name of ['agent-a', 'agent-b', 'agent-killed']) await house.enrol(name);
});
after(async () => {
  assertCleanLog(house);
  for (const close of closers) await close();
  await house.close();
});

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
    assert.match(
      record?.changes[0] ?? '',
      new RegExp(`bound to certificate ${own.thumbprint}, via tls_client_auth, epoch \\d+$`),
    );

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
