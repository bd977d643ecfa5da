import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import * as dpop from 'dpop';
import type { Agent } from '../../registry/index.ts';
import { createAgentClient, supportTask } from '../testing/agent-client.ts';
import { claimsOf } from '../testing/calls.ts';
import { type CertifiedClient, createCertifiedClient } from '../testing/certified-client.ts';
import { agentManifest, type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createCsr } from '../testing/svid-client.ts';
import { type Authority, createAuthority, type IssuedCertificate, type LeafOptions } from './testing/authority.ts';

/** @proves rfc8705.client-authentication, spiffe-client-auth.jwt */
let house: House;
let authority: Authority;
let keyed: EnrolledAgent;
let closers: (() => Promise<unknown>)[] = [];

const OWNER = 'person:owner@example.test';
const spiffeId = (name: string, task?: string) =>
  `spiffe://example.test/env/prod/agent/${name}${task === undefined ? '' : `/task/${task}`}`;

before(async () => {
  house = await openHouse({ mutualTls: true });
  ({ authority } = house);
  await house.furnish();
  keyed = await house.enrol('agent-a');
  for (const name of ['agent-b', 'agent-killed', 'agent-suspended']) await house.apply(agentManifest(name));
  await house.apply(agentManifest('agent-bound', { certificateBound: true }));
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

async function connect(own?: IssuedCertificate, clientId = spiffeId('agent-a')): Promise<CertifiedClient> {
  const client = await createCertifiedClient(house, { own, clientId });
  closers.push(client.close);
  return client;
}
const issue = (name: string, options: LeafOptions = {}) => authority.issue({ uris: [spiffeId(name)], ...options });

/** As the trust domain makes one. */
async function svidOf(name: string): Promise<IssuedCertificate> {
  const agent = house.registry.snapshot().agents.get(name) as Agent;
  const { pem, privateKey } = createCsr();
  const { chain, thumbprint } = await house.identity.trustDomain.issueX509({
    subject: { agent, task: null },
    csr: pem,
    via: 'test',
  });
  return {
    cert: chain.map((der) => new X509Certificate(der).toString()).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    thumbprint,
  };
}

type Answer = { status: number; body: Record<string, unknown> };

/** Nothing is issued, and the answer says why. */
async function refused(answer: Promise<Answer>, error: string, says: RegExp): Promise<void> {
  const { status, body } = await answer;
  assert.deepEqual([status, body.error], [error === 'invalid_client' ? 401 : 400, error], JSON.stringify(body));
  assert.match(String(body.error_description), says);
  assert.equal(body.access_token, undefined);
}

describe('a client certificate that proves nothing', () => {
  const hour = 3_600_000;
  const cases: [string, () => Promise<IssuedCertificate>, RegExp][] = [
    [
      'of an authority that nobody knows',
      async () => (await createAuthority('example.test')).issue({ uris: [spiffeId('agent-a')] }),
      /certificate is refused.*does not lead to a root/,
    ],
    [
      'of another trust domain',
      () => authority.issue({ uris: ['spiffe://elsewhere.test/env/prod/agent/agent-a'] }),
      /certificate is refused.*trust domain elsewhere\.test/,
    ],
    [
      'that has expired',
      () => issue('agent-a', { notBefore: Date.now() - 2 * hour, notAfter: Date.now() - hour }),
      /certificate is refused.*expired/,
    ],
    [
      'that is not valid yet',
      () => issue('agent-a', { notBefore: Date.now() + hour, notAfter: Date.now() + 2 * hour }),
      /certificate is refused.*not valid yet/,
    ],
    ['of an authority itself', () => issue('agent-a', { isAuthority: true }), /certificate is refused.*authority/],
    ['without a name', () => authority.issue(), /certificate is refused.*0 URI SANs/],
    [
      'with two names',
      () => authority.issue({ uris: [spiffeId('agent-a'), spiffeId('agent-b')] }),
      /certificate is refused.*2 URI SANs/,
    ],
    [
      'with the name as DNS SAN only',
      () => authority.issue({ dns: ['agent-a.example.test'] }),
      /certificate is refused.*0 URI SANs/,
    ],
  ];
  for (const [what, make, says] of cases)
    test(what, async () => refused((await connect(await make())).post(), 'invalid_client', says));

  test('none at all', async () => refused((await connect()).post(), 'invalid_client', /Client authentication failed/));

  test("another agent's, and neither is told whether there is such an agent", async () => {
    const own = await issue('agent-b');
    const texts = new Set();
    for (const clientId of [spiffeId('agent-a'), 'agent-a', spiffeId('agent-nobody'), 'agent-nobody']) {
      const { status, body } = await (await connect(own, clientId)).post();
      assert.deepEqual([status, body.error], [401, 'invalid_client']);
      texts.add(body.error_description);
    }
    assert.equal(texts.size, 1);
  });

  test("an agent's of another environment", async () =>
    refused(
      (
        await connect(await authority.issue({ uris: ['spiffe://example.test/env/dev/agent/agent-a'] }), 'agent-a')
      ).post(),
      'invalid_client',
      /failed/,
    ));
});

describe('a verified client certificate', () => {
  test('of a killed agent mints nothing, and its connection ends', async () => {
    const agent = await connect(await issue('agent-killed'), 'agent-killed');
    const { access_token: token } = await agent.startTask();
    assert.equal((await agent.call(token)).status, 200);
    await house.registry.setAgentState('agent-killed', 'suspended', OWNER, { killed: true });
    await house.settled();
    await refused(agent.post(), 'unauthorized_client', /refused|killed/);
    assert.equal((await agent.call(token)).status, 401);
  });

  test('from before its agent was killed stays dead when the agent is active again', async () => {
    await house.registry.setAgentState('agent-killed', 'active', OWNER);
    await house.settled();
    const old = await svidOf('agent-killed');
    await house.registry.setAgentState('agent-killed', 'suspended', OWNER, { killed: true });
    await house.registry.setAgentState('agent-killed', 'active', OWNER);
    await house.settled();
    await refused((await connect(old, 'agent-killed')).post(), 'unauthorized_client', /SVID is refused/);
    const { status } = await (await connect(await svidOf('agent-killed'), 'agent-killed')).post();
    assert.equal(status, 200);
  });

  test('of a suspended agent mints nothing', async () => {
    const agent = await connect(await issue('agent-suspended'), 'agent-suspended');
    await agent.startTask();
    await house.apply(agentManifest('agent-suspended', { state: 'suspended' }));
    await refused(agent.post(), 'unauthorized_client', /suspended|changed/);
  });

  test('that expires while its connection is open counts no longer', async () => {
    const agent = await connect(await issue('agent-a', { notAfter: Date.now() + 600_000 }));
    const { access_token: token } = await agent.startTask();
    assert.equal((await agent.call(token)).status, 200);
    house.pass(700_000);
    await house.settled();
    try {
      const { status, body } = await agent.call(token);
      assert.deepEqual([status, body.code], [401, 'token.certificate-refused']);
      assert.match(body.detail ?? '', /expired/);
      await refused(agent.post(), 'invalid_client', /certificate is refused.*expired/);
    } finally {
      house.pass(-700_000);
      await house.settled();
    }
  });

  test('with a DPoP proof gives a token that is bound to the key, which also works elsewhere', async () => {
    const keys = await dpop.generateKeyPair('ES256');
    const agent = await connect(await issue('agent-a'));
    const proof = await dpop.generateProof(keys, `${house.mutualTlsUrl}/oauth/token`, 'POST');
    const { body } = await agent.post({}, { dpop: proof });
    assert.equal(body.token_type, 'DPoP');
    assert.deepEqual(Object.keys(claimsOf(body.access_token as string).cnf), ['jkt']);
    const response = await fetch(house.resource, {
      method: 'POST',
      headers: {
        authorization: `DPoP ${body.access_token}`,
        dpop: await dpop.generateProof(keys, house.resource, 'POST', undefined, body.access_token),
      },
    });
    assert.equal(response.status, 200);
  });

  test('is needed by an agent that is registered so, and with a proof the token is bound to both', async () => {
    const keys = await dpop.generateKeyPair('ES256');
    const own = await issue('agent-bound');
    const agent = await connect(own, 'agent-bound');
    const proofOf = (url: string, token?: string) => dpop.generateProof(keys, url, 'POST', undefined, token);
    const { body } = await agent.post({}, { dpop: await proofOf(`${house.mutualTlsUrl}/oauth/token`) });
    const token = body.access_token as string;
    assert.deepEqual(Object.keys(claimsOf(token).cnf).sort(), ['jkt', 'x5t#S256']);

    const at = `${house.mutualTlsUrl}/mcp`;
    const dpopCall = async (client: CertifiedClient) =>
      client.call(token, { authorization: `DPoP ${token}`, dpop: await proofOf(at, token) });
    assert.equal((await dpopCall(agent)).status, 200);
    assert.equal((await agent.call(token)).body.code, 'token.scheme');
    assert.equal((await dpopCall(await connect())).body.code, 'token.certificate-missing');
    const shown = await agent.introspect(token);
    assert.deepEqual([shown.token_type, Object.keys(shown.cnf as object).sort()], ['DPoP', ['jkt', 'x5t#S256']]);
  });

  test('of one agent carries no token of another, whatever that is bound to', async () => {
    const client = await createAgentClient(house, keyed);
    const { access_token: token } = await client.startTask();
    const other = await connect(await issue('agent-b'), 'agent-b');
    const dpopProof = await client.proof(`${house.mutualTlsUrl}/mcp`, { token });
    const { status, body } = await other.call(token, { authorization: `DPoP ${token}`, dpop: dpopProof });
    assert.deepEqual([status, body.code], [401, 'token.other-agent']);
    const assertion = await client.assertion();
    await refused(
      other.post({
        client_id: undefined,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      }),
      'invalid_request',
      /another connection/,
    );
  });
});

describe('the certificate of a single task', () => {
  test('goes on with that task, and with no other', async () => {
    const agent = await connect(await issue('agent-a'));
    const [first, second] = [await agent.startTask(), await agent.startTask()];
    const [taskA, taskB] = [first, second].map(({ authorization_details: [{ task }] }) => task) as [string, string];
    const own = await authority.issue({ uris: [spiffeId('agent-a', taskA)] });
    const only = await connect(own, spiffeId('agent-a', taskA));
    const details = (task: string) => ({ type: supportTask.type, task });
    const { access_token: token } = await only.startTask(details(taskA));
    assert.equal((await only.call(token)).status, 200);

    await refused(only.post(), 'invalid_authorization_details', new RegExp(`for task ${taskA} only`));
    await refused(
      only.post({ authorization_details: JSON.stringify([details(taskB)]) }),
      'invalid_authorization_details',
      /only/,
    );
    const { status, body } = await only.call(second.access_token);
    assert.deepEqual([status, body.code], [401, 'token.other-certificate']);
  });

  test('carries no token of another task, even one that is bound to a key', async () => {
    const client = await createAgentClient(house, keyed);
    const [{ access_token: token }, other] = [await client.startTask(), await client.startTask()];
    const [{ task }] = other.authorization_details;
    const only = await connect(await authority.issue({ uris: [spiffeId('agent-a', task)] }));
    const { status, body } = await only.call(token, {
      authorization: `DPoP ${token}`,
      dpop: await client.proof(`${house.mutualTlsUrl}/mcp`, { token }),
    });
    assert.deepEqual([status, body.code], [401, 'token.other-task']);
  });
});

describe('a JWT-SVID as client assertion', () => {
  const agentOf = (name: string) => house.registry.snapshot().agents.get(name) as Agent;
  const jwtSvid = async (name: string, audience = [house.publicUrl]) =>
    (
      await house.identity.trustDomain.issueJwt({
        subject: { agent: agentOf(name), task: null },
        audience,
        via: 'test',
      })
    ).token;
  const ask = async (svid: string, form: Record<string, string | undefined> = {}) => {
    const client = await createAgentClient(house, keyed);
    return client.post({
      form: {
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
        client_assertion: svid,
        ...form,
      },
    });
  };

  test('proves its agent, once', async () => {
    const svid = await jwtSvid('agent-b');
    const { status, body } = await ask(svid);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(claimsOf(body.access_token as string).client_id, 'agent-b');
    const [record] = (await house.records('token.issue')).slice(-1);
    assert.match(record?.changes[0] ?? '', /via spiffe_jwt, epoch \d+$/);
    await refused(ask(svid), 'invalid_client', /used before/);
  });

  test('is refused for another audience, for several, for another agent, and when its signature is another', async () => {
    await refused(ask(await jwtSvid('agent-b', ['https://elsewhere.test'])), 'invalid_client', /JWT-SVID is refused/);
    const both = [house.publicUrl, 'https://elsewhere.test'];
    await refused(ask(await jwtSvid('agent-b', both)), 'invalid_client', /nothing else/);
    await refused(ask(await jwtSvid('agent-b'), { client_id: 'agent-a' }), 'invalid_client', /failed/);
    const [header, payload] = (await jwtSvid('agent-b')).split('.');
    const [, , signature] = (await jwtSvid('agent-a')).split('.');
    await refused(ask(`${header}.${payload}.${signature}`), 'invalid_client', /JWT-SVID is refused/);
    await refused(ask('x.y.z'), 'invalid_request', /no client authentication|client_id|mechanism/);
  });

  test('is no assertion of the other kind, nor the other way round', async () => {
    const bearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    await refused(ask(await jwtSvid('agent-a'), { client_assertion_type: bearer }), 'invalid_client', /failed/);
    const client = await createAgentClient(house, keyed);
    await refused(ask(await client.assertion()), 'invalid_client', /JWT-SVID is refused/);
  });
});
