import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type AgentClient, createAgentClient, supportTask } from './testing/agent-client.ts';
import { createKey, type EnrolledAgent, type House, openHouse } from './testing/house.ts';
import { thumbprint } from './testing/thumbprint.ts';

let house: House;
let agent: EnrolledAgent;
let client: AgentClient;
let other: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await house.enrol('agent-support-prod');
  client = await createAgentClient(house, agent);
  other = await createAgentClient(house, await house.enrol('agent-other-prod'));
});
after(() => house.close());

const owner = 'person:owner@example.test';

type Change = Parameters<AgentClient['post']>[0];

/** Asserts one precise refusal, in the form RFC 6749 §5.2 prescribes, with nothing issued and nothing cacheable. */
async function refused(change: Change, status: number, error: string, says: RegExp, by = client): Promise<void> {
  const before = (await house.records('token.issue')).length;
  const answer = await by.post(change);
  assert.deepEqual([answer.status, answer.body.error], [status, error], JSON.stringify(answer.body));
  const description = String(answer.body.error_description);
  assert.match(description, says);
  assert.match(description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.equal(answer.headers.get('content-type')?.split(';')[0], 'application/json');
  assert.equal((await house.records('token.issue')).length, before);
}

const details = (...entries: unknown[]): Change => ({ form: { authorization_details: JSON.stringify(entries) } });

describe('authorization_details', () => {
  const invalid = 'invalid_authorization_details';
  const cases: [string, Change, RegExp][] = [
    ['that is no JSON', { form: { authorization_details: '{' } }, /strict JSON/],
    ['with a member twice', { form: { authorization_details: '[{"type":"a","type":"b"}]' } }, /strict JSON/],
    ['nested a thousand deep', { form: { authorization_details: '['.repeat(1_000) } }, /strict JSON/],
    ['that is one object and no list', { form: { authorization_details: JSON.stringify(supportTask) } }, /exactly one/],
    ['that is empty', details(), /exactly one/],
    ['with two tasks', details(supportTask, supportTask), /exactly one/],
    ['with text for a task', details('support'), /exactly one/],
    ['of another type', details({ ...supportTask, type: 'payment_initiation' }), /urn:gatehouse:task/],
    ['without an intent', details({ ...supportTask, intent: undefined }), /intent/],
    ['with an empty intent', details({ ...supportTask, intent: '' }), /intent/],
    ['with an intent of 2,001 characters', details({ ...supportTask, intent: 'x'.repeat(2_001) }), /intent/],
    ['with a member that does not exist', details({ ...supportTask, scope: 'all' }), /scope/],
    ['with a list as a parameter', details({ ...supportTask, parameters: { customer: ['a'] } }), /customer/],
    [
      'with a parameter that the template does not have',
      details({ ...supportTask, parameters: { customer: 'a', admin: true } }),
      /admin/,
    ],
    ['without a parameter that the template requires', details({ ...supportTask, parameters: {} }), /customer/],
    ['with a parameter of another type', details({ ...supportTask, parameters: { customer: 7 } }), /customer/],
    ['with a template that does not exist', details({ ...supportTask, template: 'no-such' }), /template/i],
    [
      'with a template that the blueprint does not have',
      details({ ...supportTask, template: 'administration', parameters: {} }),
      /template|blueprint/i,
    ],
    ['with a task that does not exist', details({ type: supportTask.type, task: 'tsk_0' }), /no task tsk_0/],
    ['with a task and something beside it', details({ ...supportTask, task: 'tsk_0' }), /nothing else/],
  ];
  for (const [name, change, says] of cases) test(name, () => refused(change, 400, invalid, says));

  test('that is missing', () =>
    refused(
      { form: { authorization_details: undefined } },
      400,
      'invalid_request',
      /authorization_details is missing/,
    ));

  test('that is given twice', () =>
    refused({ form: { authorization_details: ['[]', '[]'] } }, 400, 'invalid_request', /twice/));

  test('with the task of another agent, which is as unknown as none', async () => {
    const { authorization_details } = await other.startTask();
    const { task } = authorization_details[0];
    await refused(details({ type: supportTask.type, task }), 400, invalid, new RegExp(`no task ${task}`));
  });

  test('with a task that has ended', async () => {
    const { authorization_details } = await client.startTask();
    const { task } = authorization_details[0];
    await house.registry.endTask(task, owner);
    await house.settled();
    await refused(details({ type: supportTask.type, task }), 400, invalid, /over/);
  });
});

describe('the form of a request', () => {
  test('another grant type', () =>
    refused({ form: { grant_type: 'authorization_code' } }, 400, 'unsupported_grant_type', /grant_type/));

  test('the built-in grant types of the library are gone', async () => {
    for (const grant_type of ['refresh_token', 'implicit', 'urn:ietf:params:oauth:grant-type:device_code', 'password'])
      await refused({ form: { grant_type } }, 400, 'unsupported_grant_type', /grant_type/);
  });

  test('no grant type', () => refused({ form: { grant_type: undefined } }, 400, 'invalid_request', /grant_type/));

  test('a scope', () => refused({ form: { scope: 'mcp' } }, 400, 'invalid_scope', /no scopes/));

  test('a resource that is not ours, or two at once', async () => {
    const elsewhere = [
      'https://other.example/mcp',
      `${house.publicUrl}`,
      `${house.publicUrl}/api`,
      `${house.publicUrl}/mcp/../api`,
      `${house.publicUrl}/mcp?server=shop`,
      `${house.publicUrl}/mcp#shop`,
      `${house.publicUrl}.evil.example/mcp`,
      `${house.publicUrl}@evil.example/mcp`,
      'mcp',
    ];
    for (const resource of elsewhere) await refused({ form: { resource } }, 400, 'invalid_target', /resource/);
    const resource = [house.resource, `${house.resource}/shop`];
    await refused({ form: { resource } }, 400, 'invalid_target', /resource/);
  });

  test('a parameter nobody knows is ignored, as RFC 6749 §3.2 requires', async () => {
    const { status } = await client.post({ form: { surprise: 'x', __proto__: 'y' } });
    assert.equal(status, 200);
  });

  test('a JSON body', async () => {
    const response = await fetch(`${house.publicUrl}/oauth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(response.status, 400);
    assert.equal(((await response.json()) as { error: string }).error, 'invalid_request');
  });

  test('another method, and another path', async () => {
    for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke'])
      for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
        const response = await fetch(house.publicUrl + path, { method });
        assert.equal(response.status, 405);
        assert.equal(response.headers.get('allow'), 'POST');
      }
    for (const path of [
      '/oauth/',
      '/oauth/register',
      '/oauth/TOKEN',
      '/oauth/token/',
      '/oauth/auth',
      '/oauth//token',
    ]) {
      const response = await fetch(house.publicUrl + path, { method: 'POST' });
      assert.equal(response.status, 404);
      assert.equal(((await response.json()) as { error: string }).error, 'invalid_request');
    }
  });

  test('10 MB, announced or not', async () => {
    const announced = await fetch(`${house.publicUrl}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ client_assertion: 'x'.repeat(10_000_000) }),
    }).catch((error: Error) => error);
    if (announced instanceof Response) assert.equal(announced.status, 413);

    const chunked = httpRequest(`${house.publicUrl}/oauth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    chunked.on('error', () => {});
    for (let sent = 0; sent < 10_000_000; sent += 100_000) chunked.write('x'.repeat(100_000));
    chunked.end();
    const [response] = await once(chunked, 'response');
    assert.equal(response.statusCode, 400);
  });

  test('bytes that are no HTTP form get a clear answer', async () => {
    for (const body of ['%', '%ff%fe=%00', '=&=&=', 'a'.repeat(30_000), '\u0000'])
      for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        const response = await fetch(house.publicUrl + path, { method: 'POST', headers, body });
        assert.equal(response.status, 400);
        assert.equal(((await response.json()) as { error: string }).error, 'invalid_request');
      }
  });
});

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

describe('proof of possession', () => {
  test('a request without a proof', () => refused({ bearer: true }, 400, 'invalid_dpop_proof', /must use DPoP/));

  test('a proof used before, for another address, or for another method', async () => {
    const url = `${house.publicUrl}/oauth/token`;
    const proof = await client.proof(url);
    assert.equal((await client.post({ headers: { dpop: proof } })).status, 200);
    await refused({ headers: { dpop: proof } }, 400, 'invalid_dpop_proof', /used before/);
    const elsewhere = await client.proof(`${house.publicUrl}/oauth/introspect`);
    await refused({ headers: { dpop: elsewhere } }, 400, 'invalid_dpop_proof', /htu/);
    const get = await client.proof(url, { method: 'GET' });
    await refused({ headers: { dpop: get } }, 400, 'invalid_dpop_proof', /htm/);
  });

  test('a refused proof starts no task', async () => {
    const before = (await house.registry.listTasks({ agent: agent.name, limit: 1_000 })).length;
    await refused({ headers: { dpop: 'x' } }, 400, 'invalid_dpop_proof', /proof/);
    assert.equal((await house.registry.listTasks({ agent: agent.name, limit: 1_000 })).length, before);
  });

  test('an agent registered as bearer-only needs none and gets a Bearer token; the metadata stops promising DPoP', async () => {
    assert.equal(house.identity.resourceMetadata('/mcp')?.dpop_bound_access_tokens_required, true);
    const bearer = await createAgentClient(house, await house.enrol('agent-bearer', { bearerOnly: true }));
    const { status, body } = await bearer.post({ bearer: true });
    assert.equal(status, 200);
    assert.equal(body.token_type, 'Bearer');
    assert.equal(house.identity.resourceMetadata('/mcp')?.dpop_bound_access_tokens_required, false);
    const bound = await bearer.post();
    assert.equal(bound.body.token_type, 'DPoP');
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

describe('the life of a token', () => {
  test('never exceeds that of its task', async () => {
    const { expires_in } = await client.startTask({ ...supportTask, template: 'short', parameters: {} });
    assert.ok(expires_in <= 60, `${expires_in} s`);
  });

  test('is fifteen minutes at most', async () => {
    const { expires_in } = await client.startTask();
    assert.ok(expires_in <= 900 && expires_in > 890, `${expires_in} s`);
  });
});

test('nothing here was ever an internal error, and no secret was logged', () => {
  const failures = house.lines.filter((line) => line.includes('"level":"error"') && !line.includes('disk is full'));
  assert.deepEqual(failures, []);
  for (const line of house.lines) assert.doesNotMatch(line, /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20}/);
});
