import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createAgentClient } from '../testing/agent-client.ts';
import { type CertifiedClient, createCertifiedClient } from '../testing/certified-client.ts';
import { agentManifest, type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createCsr } from '../testing/svid-client.ts';
import { trustDomainLimits } from '../trust-domain/limits.ts';
import type { IssuedCertificate } from './testing/authority.ts';

/** @proves mtls.svid-routes */
let house: House;
let keyed: EnrolledAgent;
let closers: (() => Promise<unknown>)[] = [];

const spiffeId = (name: string) => `spiffe://example.test/env/prod/agent/${name}`;
const issue = (name: string, provenAt?: number) =>
  house.authority.issue({ uris: [spiffeId(name)], ...(provenAt !== undefined && { provenAt }) });

before(async () => {
  house = await openHouse({ mutualTls: true });
  await house.furnish();
  keyed = await house.enrol('agent-a');
  await house.apply(agentManifest('agent-b'), agentManifest('agent-killed'));
});
after(async () => {
  assertCleanLog(house);
  for (const close of closers) await close();
  await house.close();
});
beforeEach(async () => {
  for (const close of closers) await close();
  closers = [];
});

async function connect(own?: IssuedCertificate, name = 'agent-a'): Promise<CertifiedClient> {
  const client = await createCertifiedClient(house, { own, clientId: name });
  closers.push(client.close);
  return client;
}

/** Asks for a certificate of a new key. */
async function renew(client: CertifiedClient, headers: Record<string, string> = {}) {
  const { pem, privateKey } = createCsr();
  const response = await client.fetch(`${house.mutualTlsUrl}/svid/x509`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ csr: pem }),
  });
  const body = (await response.json()) as {
    title?: string;
    detail?: string;
    spiffeId?: string;
    certificates?: string[];
  };
  const chain = (body.certificates ?? []).map((each) => new X509Certificate(Buffer.from(each, 'base64')));
  const own: IssuedCertificate = {
    cert: chain.map(String).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    thumbprint: createHash('sha256')
      .update(chain[0]?.raw ?? '')
      .digest('base64url'),
  };
  return { status: response.status, title: body.title, detail: body.detail, spiffeId: body.spiffeId, own };
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('an SVID over mutual TLS', () => {
  test('is renewed by itself again and again, and each is a certificate to act with', async () => {
    let own = await issue('agent-a');
    for (let turn = 0; turn < 3; turn++) {
      const renewed = await renew(await connect(own));
      assert.deepEqual([renewed.status, renewed.spiffeId], [200, spiffeId('agent-a')], renewed.detail);
      assert.notEqual(renewed.own.thumbprint, own.thumbprint);
      own = renewed.own;
      const agent = await connect(own);
      const { access_token: token } = await agent.startTask();
      assert.equal((await agent.call(token)).status, 200);
    }
    const [record] = (await house.records('svid.issue')).slice(-1);
    assert.match(record?.changes[0] ?? '', /via x509-svid, epoch \d+$/);
  });

  /** @proves spiffe.renewal-bound */
  test('is renewed for a day after something else was proven, whoever has it, and then no more', async () => {
    const limit = trustDomainLimits.svidRenewalSeconds * 1000;
    const provenAt = Date.now() - limit + 90_000;
    let own = await issue('agent-a', provenAt);
    for (let turn = 0; turn < 3; turn++) {
      const renewed = await renew(await connect(own));
      assert.equal(renewed.status, 200, renewed.detail);
      const end = Date.parse(new X509Certificate(renewed.own.cert).validTo);
      assert.ok(end <= provenAt + limit, 'none outlives the first proof by more');
      assert.ok(end > Date.now());
      own = renewed.own;
    }
    const count = (await house.records('svid.issue')).length;
    const old = await connect(await issue('agent-a', Date.now() - limit));
    const refused = await renew(old);
    assert.deepEqual([refused.status, refused.title], [403, 'svid.prove-again']);
    assert.match(refused.detail ?? '', /Prove yourself with your key/);
    const jwt = await old.fetch(`${house.mutualTlsUrl}/svid/jwt`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ audience: ['https://peer.test'] }),
    });
    assert.equal(((await jwt.json()) as { title: string }).title, 'svid.prove-again');
    assert.equal((await house.records('svid.issue')).length, count);

    // Its key is a proof of its own, and begins anew.
    const response = await old.fetch(`${house.mutualTlsUrl}/svid/x509`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        csr: createCsr().pem,
        clientAssertion: await (await createAgentClient(house, keyed)).assertion(),
      }),
    });
    const body = (await response.json()) as { expiresAt: number };
    assert.ok(body.expiresAt > Date.now() + 3_000_000, JSON.stringify(body));
  });

  test('is given for a task to its token that is bound to the certificate, and to nobody who has only the token', async () => {
    const agent = await connect(await issue('agent-a'));
    const { access_token: token, authorization_details: details } = await agent.startTask();
    const given = await renew(agent, bearer(token));
    assert.deepEqual([given.status, given.spiffeId], [200, `${spiffeId('agent-a')}/task/${details[0].task}`]);

    const count = (await house.records('svid.issue')).length;
    assert.equal((await renew(await connect(), bearer(token))).title, 'token.certificate-missing');
    assert.equal((await renew(await connect(await issue('agent-a')), bearer(token))).title, 'token.other-certificate');
    assert.equal((await renew(await connect(await issue('agent-b')), bearer(token))).title, 'token.other-certificate');
    assert.equal((await renew(agent, { authorization: `DPoP ${token}` })).title, 'token.scheme');
    const overHttp = await fetch(`${house.publicUrl}/svid/x509`, {
      method: 'POST',
      headers: { ...bearer(token), 'content-type': 'application/json' },
      body: JSON.stringify({ csr: createCsr().pem }),
    });
    assert.equal(overHttp.status, 401);
    assert.equal((await house.records('svid.issue')).length, count);
  });

  test('is given to a token that is bound to a key, with a proof for the address that it was sent to', async () => {
    const client = await createAgentClient(house, keyed);
    const { access_token: token } = await client.startTask();
    const dpop = async (url: string) => ({
      authorization: `DPoP ${token}`,
      dpop: await client.proof(`${url}/svid/x509`, { token }),
    });
    const anybody = await connect();
    assert.equal((await renew(anybody, await dpop(house.mutualTlsUrl as string))).status, 200);
    for (const elsewhere of [house.publicUrl, 'https://elsewhere.test']) {
      const { status, detail } = await renew(anybody, await dpop(elsewhere));
      assert.equal(status, 401);
      assert.match(detail ?? '', /htu/);
    }
    const other = await connect(await issue('agent-b'));
    assert.equal((await renew(other, await dpop(house.mutualTlsUrl as string))).title, 'token.other-agent');
  });

  test('is not given to a killed agent, over the connection that it has', async () => {
    const agent = await connect(await issue('agent-killed'), 'agent-killed');
    const { access_token: token } = await agent.startTask();
    assert.equal((await renew(agent)).status, 200);
    await house.registry.setAgentState('agent-killed', 'suspended', 'person:owner@example.test', { killed: true });
    await house.settled();
    const count = (await house.records('svid.issue')).length;
    assert.equal((await renew(agent)).status, 403);
    assert.equal((await renew(agent, bearer(token))).status, 401);
    assert.equal((await house.records('svid.issue')).length, count);
  });
});
