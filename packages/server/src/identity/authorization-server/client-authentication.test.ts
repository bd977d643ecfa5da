import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { createKey, type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog, assertRefused, type RequestChange } from '../testing/refusals.ts';
import { thumbprint } from '../testing/thumbprint.ts';

/** @proves rfc7523.assertion */
let house: House;
let agent: EnrolledAgent;
let client: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await house.enrol('agent-support-prod');
  client = await createAgentClient(house, agent);
});
after(() => house.close());

const owner = 'person:owner@example.test';

const refused = (change: RequestChange, status: number, error: string, says: RegExp, by = client) =>
  assertRefused(house, by, change, { status, error, says });

describe('client authentication', () => {
  const how = /Client authentication failed/;

  test('none, a secret, or Basic', async () => {
    await refused({ form: { client_assertion: undefined } }, 400, 'invalid_request', /no client authentication/);
    const named = { client_assertion: undefined, client_id: agent.name };
    await refused({ form: named }, 401, 'invalid_client', how);
    await refused({ form: { ...named, client_secret: 'secret' } }, 401, 'invalid_client', how);
    const basic = `Basic ${Buffer.from(`${agent.name}:secret`).toString('base64')}`;
    await refused({ form: named, headers: { authorization: basic } }, 401, 'invalid_client', how);
  });

  test('an assertion is good for one request', async () => {
    const client_assertion = await client.assertion();
    assert.equal((await client.post({ form: { client_assertion } })).status, 200);
    await refused({ form: { client_assertion } }, 401, 'invalid_client', /used before/);
  });

  test('of twenty requests at once with one assertion, one succeeds', async () => {
    const client_assertion = await client.assertion();
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.post({ form: { client_assertion } })));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(19).fill(401)]);
  });

  test('an assertion with another algorithm, none at all, or the public key as a shared secret', async () => {
    const claims = (await client.assertion()).split('.')[1];
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ['none', 'None', 'HS256', 'RS256', 'ES384', undefined])
      for (const signature of ['', 'AAAA']) {
        const client_assertion = `${encode({ alg })}.${claims}.${signature}`;
        await refused({ form: { client_assertion } }, 401, 'invalid_client', how);
      }
    const key = Buffer.from(JSON.stringify(agent.publicJwk));
    await refused({ assertion: { header: { alg: 'HS256' }, key } }, 401, 'invalid_client', how);
  });

  test('an assertion signed with a key that is not registered, whatever its header says', async () => {
    const { privateKey, publicJwk } = await house.enrol('agent-with-other-key');
    const key = privateKey;
    await refused({ assertion: { key } }, 401, 'invalid_client', how);
    for (const header of [
      { jwk: publicJwk },
      { kid: '../../key' },
      { kid: "' or 1=1 --" },
      { jku: 'https://evil.example/keys' },
      { x5u: 'https://evil.example/cert' },
    ])
      await refused({ assertion: { key, header } }, 401, 'invalid_client', how);
  });

  test('an unknown agent, and every look-alike of a known one, hear the same as a wrong key', async () => {
    const answers = [];
    for (const name of ['agent-nobody', 'agent-support-рrod', 'AGENT-SUPPORT-PROD', 'agent-support-prod ', '__proto__'])
      answers.push(await client.post({ assertion: { claims: { iss: name, sub: name } } }));
    const { privateKey: key } = await house.enrol('agent-with-other-key');
    answers.push(await client.post({ assertion: { key } }));
    for (const { status, body } of answers) assert.deepEqual({ status, body }, { status: 401, body: answers[0]?.body });
  });

  test('an assertion for another audience, or for two', async () => {
    for (const aud of [
      'https://other.example',
      `${house.publicUrl}/`,
      [house.publicUrl, 'https://other.example'],
      undefined,
    ])
      assert.equal((await client.post({ assertion: { claims: { aud } } })).status, 401);
    for (const aud of [house.publicUrl, [house.publicUrl], `${house.publicUrl}/oauth/token`])
      assert.equal((await client.post({ assertion: { claims: { aud } } })).status, 200);
  });

  test('the audience follows from our address, never from the Host that a client claims', async () => {
    const client_assertion = await client.assertion({ claims: { aud: 'http://evil.example/oauth/token' } });
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
      authorization_details: JSON.stringify([supportTask]),
    }).toString();
    for (const headers of [
      { host: 'evil.example' },
      { 'x-forwarded-host': 'evil.example' },
      { forwarded: 'host=evil.example' },
    ]) {
      const sent = httpRequest(`${house.publicUrl}/oauth/token`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          dpop: await client.proof(`${house.publicUrl}/oauth/token`),
          ...headers,
        },
      });
      sent.end(form);
      const [response] = await once(sent, 'response');
      assert.equal(response.statusCode, 401);
      response.resume();
    }
    const absolute = connect(Number(new URL(house.publicUrl).port), '127.0.0.1');
    absolute.end(
      `POST http://evil.example/oauth/token HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\nConnection: close\r\n\r\n${form}`,
    );
    let text = '';
    for await (const chunk of absolute) text += chunk;
    assert.doesNotMatch(text, /200 OK|access_token/);
  });

  test('an assertion that has expired, is not valid yet, lives for ever, or has no end or no id', async () => {
    const now = Math.floor(Date.now() / 1000);
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ exp: now - 61 }, /expired/],
      [{ exp: now - 1_000_000 }, /expired/],
      [{ nbf: now + 1_000 }, /not valid yet/],
      [{ exp: now + 3_600 }, /600 seconds/],
      [{ exp: 1e15 }, /600 seconds/],
      [{ exp: undefined }, how],
      [{ exp: 'tomorrow' }, how],
      [{ jti: undefined }, how],
      [{ jti: 'x'.repeat(300) }, /jti/],
      [{ iss: 'agent-other-prod' }, how],
    ];
    for (const [claims, says] of cases) await refused({ assertion: { claims } }, 401, 'invalid_client', says);
  });

  test('a proof or an access token does not pass for an assertion', async () => {
    for (const typ of ['dpop+jwt', 'at+jwt', 'oauth-authz-req+jwt'])
      await refused({ assertion: { header: { typ } } }, 401, 'invalid_client', /typ/);
    for (const typ of ['JWT', 'client-authentication+jwt'])
      assert.equal((await client.post({ assertion: { header: { typ } } })).status, 200);
  });
});

describe('an agent that may not act', () => {
  test('is told so once it has proven itself, at every endpoint, and gets nothing', async () => {
    const stopped = await house.enrol('agent-stopped');
    const its = await createAgentClient(house, stopped);
    const { access_token } = await its.startTask();
    for (const [how, says] of [
      [() => house.registry.setAgentState('agent-stopped', 'suspended', owner), /suspended/],
      [() => house.registry.setAgentState('agent-stopped', 'suspended', owner, { killed: true }), /killed/],
      [() => house.registry.setAgentState('agent-stopped', 'retired', owner), /retired|killed/],
    ] as const) {
      await how();
      await house.settled();
      await refused({}, 400, 'unauthorized_client', says, its);
      for (const path of ['/oauth/introspect', '/oauth/revoke']) {
        const { status, body } = await its.post({ path, form: { token: access_token } });
        assert.deepEqual([status, body.error], [400, 'unauthorized_client']);
      }
    }
  });

  test('a draft has no way in', async () => {
    const its = await createAgentClient(house, await house.enrol('agent-draft', { state: 'draft' }));
    await refused({}, 400, 'unauthorized_client', /draft/, its);
  });

  test('a stranger learns nothing of a suspended agent', async () => {
    const { privateKey: key } = await house.enrol('agent-stranger');
    await house.enrol('agent-asleep');
    await house.registry.setAgentState('agent-asleep', 'suspended', owner);
    await house.settled();
    const claims = { iss: 'agent-asleep', sub: 'agent-asleep' };
    await refused({ assertion: { claims, key } }, 401, 'invalid_client', /Client authentication failed/);
  });

  test('a removed key is no key any more, the other one still is', async () => {
    const first = await house.enrol('agent-two-keys');
    const second = await createKey();
    await house.registry.addAgentKey('agent-two-keys', second.publicJwk, owner);
    await house.registry.removeAgentKey('agent-two-keys', thumbprint(first.publicJwk), owner);
    await house.settled();
    await refused({}, 401, 'invalid_client', /Client authentication failed/, await createAgentClient(house, first));
    const its = await createAgentClient(house, { ...second, name: 'agent-two-keys' });
    assert.equal((await its.post()).status, 200);
  });
});

test('nothing here was ever an internal error, and no token was logged', () => assertCleanLog(house));
