import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog, assertRefused, type RequestChange } from '../testing/refusals.ts';

/** @proves rfc9396.details */
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

const refused = (change: RequestChange, status: number, error: string, says: RegExp, by = client) =>
  assertRefused(house, by, change, { status, error, says });

const details = (...entries: unknown[]): RequestChange => ({
  form: { authorization_details: JSON.stringify(entries) },
});

describe('authorization_details', () => {
  const invalid = 'invalid_authorization_details';
  const cases: [string, RequestChange, RegExp][] = [
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
    refused({ form: { grant_type: 'authorization_code' } }, 400, 'unauthorized_client', /grant type/));

  test('grant types that OAuth 2.1 has no more, or that an agent may not use', async () => {
    for (const grant_type of ['implicit', 'password'])
      await refused({ form: { grant_type } }, 400, 'unsupported_grant_type', /grant_type/);
    await refused({ form: { grant_type: 'refresh_token' } }, 400, 'unauthorized_client', /grant type/);
  });

  test('an error is JSON even for a browser', () =>
    refused(
      { form: { grant_type: 'password' }, headers: { accept: 'text/html' } },
      400,
      'unsupported_grant_type',
      /grant_type/,
    ));

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

test('any form at all gets an answer that names one error', async () => {
  const known = ['grant_type', 'client_id', 'client_assertion', 'client_assertion_type', 'authorization_details'];
  const name = fc.oneof(fc.constantFrom(...known, 'resource', 'scope', 'token'), fc.string());
  const form = fc.array(fc.tuple(name, fc.oneof(fc.string(), fc.constant('client_credentials'), fc.json())));
  const path = fc.constantFrom('/oauth/token', '/oauth/introspect', '/oauth/revoke');
  await fc.assert(
    fc.asyncProperty(form, path, async (entries, to) => {
      const response = await fetch(house.publicUrl + to, { method: 'POST', body: new URLSearchParams(entries) });
      assert.ok([400, 401].includes(response.status), String(response.status));
      const { error, error_description } = (await response.json()) as Record<string, unknown>;
      assert.match(String(error), /^(invalid_request|invalid_client)$/);
      assert.equal(typeof error_description, 'string');
    }),
    { numRuns: 200 },
  );
});

test('nothing here was ever an internal error, and no token was logged', () => assertCleanLog(house));
