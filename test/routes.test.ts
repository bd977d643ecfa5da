import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Law 2: every route of the server, tried with no token, a foreign one, an expired one, one for another audience and a replayed
 * proof; and with an agent's own valid token on every people's route (law 4). The routes come from the route table itself; those of
 * other gateways have a file of their own.
 */
let workspace: Workspace;
let routes: [string, string][];
const publicRoutes = new Set([
  'GET /status',
  'POST /signin/link',
  'POST /signin/mail',
  'POST /signin/passkey/options',
  'POST /signin/passkey',
  'GET /signin/providers',
  'POST /signin/provider',
]);

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  const document = (await (await fetch(`${workspace.url}/api/v1/openapi.json`)).json()) as {
    paths: Record<string, Record<string, unknown>>;
  };
  routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path]),
  );
});
after(() => workspace.close());

const call = (method: string, path: string, headers: Record<string, string>) =>
  fetch(`${workspace.url}/api/v1${path.replaceAll(/\{\w+\}/g, 'x')}`, {
    method,
    headers: { origin: workspace.url, ...(method !== 'GET' && { 'content-type': 'application/json' }), ...headers },
    ...(method !== 'GET' && { body: '{}' }),
  });

/** @proves law-2.routes, rfc9457.problems */
test('every route of the control API refuses a caller who is not signed in', async () => {
  assert.ok(routes.length > 40);
  for (const [method, path] of routes) {
    if (publicRoutes.has(`${method} ${path}`)) continue;
    const response = await call(method, path, {});
    assert.equal(response.status, 401, `${method} ${path}`);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
  }
});

test('every route refuses an agent, whatever token it holds, a session cookie that is made up, and a wrong operator token', async () => {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const token = await task.token();
  const foreign: Record<string, string>[] = [
    { authorization: `DPoP ${token}` },
    { authorization: `Bearer ${token}` },
    { authorization: `Operator ${token}` },
    { authorization: `Operator ${'A'.repeat(43)}` },
    { cookie: `gatehouse_session=${'A'.repeat(43)}` },
  ];
  for (const [method, path] of routes) {
    if (publicRoutes.has(`${method} ${path}`)) continue;
    for (const headers of foreign) {
      const response = await call(method, path, headers);
      assert.ok(
        [401, 403].includes(response.status),
        `${method} ${path} gave ${response.status} for ${Object.keys(headers)[0]}`,
      );
      const { title } = (await response.json()) as { title: string };
      assert.notEqual(title, 'body.invalid', `${method} ${path} looked at the body before it knew who calls`);
    }
  }
});

test('state-changing routes refuse another origin even with a valid session', async () => {
  const owner = await workspace.person('owner@example.test');
  for (const [method, path] of routes) {
    if (method === 'GET') continue;
    const response = await call(method, path, { cookie: owner.cookie, origin: 'https://evil.example' });
    assert.equal(response.status, 403, `${method} ${path}`);
  }
});

// What is named here is one's own, or changes nothing: a plan, an explanation, a replay of what is on record.
/** @proves record.auditors */
test('a role is needed where the route table says so: an auditor changes nothing', async () => {
  const auditor = await workspace.person('auditor@example.test');
  for (const [method, path] of routes) {
    if (
      method === 'GET' ||
      /signin|signout|passkeys|sessions|^\/push|consents|confirmations|delegations|accounts|^\/(?:deputies|evidence)|decide|logs\/verify|plan|policy\/(?:explain|check|replay)|trust-rules\/test/.test(
        path,
      )
    )
      continue;
    const response = await call(method, path, { cookie: auditor.cookie });
    assert.equal(response.status, 403, `${method} ${path}`);
  }
});

test('the MCP door refuses tokens that are missing, foreign, unsigned, expired, for another audience, or replayed', async () => {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const token = await task.token();
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
  const header = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string };
  const forge = (change: Record<string, unknown>, head: Record<string, unknown> = {}) =>
    new SignJWT({ ...claims, ...change })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: header.kid, ...head })
      .sign(privateKey);
  const unsigned = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url')}.${token.split('.')[1]}.`;
  const embedded = await forge({}, { jwk: await exportJWK(publicKey) });
  const now = Math.floor(Date.now() / 1000);
  const tokens: Record<string, string | null> = {
    missing: null,
    garbage: 'x.y.z',
    unsigned,
    'foreign signature': await forge({}),
    'key in its own header': embedded,
    expired: await forge({ iat: now - 2_000, exp: now - 1_000 }),
    'other audience': await forge({ aud: 'https://elsewhere.example/mcp' }),
    'valid, but without its proof': token,
  };
  for (const path of ['/mcp', '/mcp/shop']) {
    for (const [name, value] of Object.entries(tokens)) {
      for (const scheme of ['DPoP', 'Bearer']) {
        const response = await fetch(workspace.url + path, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            ...(value !== null && { authorization: `${scheme} ${value}` }),
          },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
        });
        assert.equal(response.status, 401, `${path}: ${name} as ${scheme}`);
        assert.match(response.headers.get('www-authenticate') ?? '', /resource_metadata="/, `${name} as ${scheme}`);
      }
    }
  }
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
  };
  const captured: Record<string, string> = {};
  const capture: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    for (const name of ['authorization', 'dpop']) captured[name] = request.headers.get(name) ?? '';
    return fetch(request);
  };
  const original = globalThis.fetch;
  globalThis.fetch = ((input: string, init: RequestInit) => {
    globalThis.fetch = original;
    return capture(input, init);
  }) as typeof fetch;
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const first = await task.fetch(`${workspace.url}/mcp`, { method: 'POST', headers, body: JSON.stringify(initialize) });
  assert.equal(first.status, 200);
  const replayed = await fetch(`${workspace.url}/mcp`, {
    method: 'POST',
    headers: { ...headers, ...captured },
    body: JSON.stringify(initialize),
  });
  assert.equal(replayed.status, 401, 'a captured request, proof and all, is good only once');
});

/** @proves law-2.task-end */
test('a task is asked about and ended by its own token, with a proof, and by nothing else', async () => {
  const [agent, bystander] = [await workspace.agent('agent-a'), await workspace.agent('agent-b')];
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const other = await bystander.startTask({ template: 'all', intent: 'test' });
  const target = `${workspace.url}/task/end`;
  const end = (headers: Record<string, string> = {}, method = 'POST') => fetch(target, { method, headers });
  const stateOf = async ({ id }: { id: string }) =>
    (await workspace.operator('GET /tasks/:id', { params: { id } })).state;

  const good = await task.headersFor(target, 'POST');
  const foreign = await bystander.startTask({ template: 'all', intent: 'foreign' });
  const { privateKey } = await generateKeyPair('ES256');
  const [head = '', payload = ''] = (await task.token()).split('.');
  const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string };
  const forged = await new SignJWT(JSON.parse(Buffer.from(payload, 'base64url').toString()))
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
    .sign(privateKey);
  const refused: Record<string, Record<string, string>> = {
    'no token': {},
    'no proof': { authorization: good.authorization ?? '' },
    'as a bearer': { authorization: `Bearer ${await task.token()}` },
    'another key': { ...good, dpop: (await foreign.headersFor(target, 'POST')).dpop ?? '' },
    'a proof for another address': await task.headersFor(`${workspace.url}/mcp`, 'POST'),
    'a proof for another method': await task.headersFor(target, 'GET'),
    'a token that another has signed': { ...(await task.headersFor(target, 'POST')), authorization: `DPoP ${forged}` },
    'a session of a person': { cookie: (await workspace.person('approver@example.test')).cookie },
    'the operator’s scheme': { authorization: `Operator ${'A'.repeat(43)}` },
  };
  const asked = `${workspace.url}/task`;
  for (const [name, headers] of Object.entries(refused))
    for (const response of [await end(headers), await fetch(asked, { headers })]) {
      assert.equal(response.status, 401, name);
      assert.equal(response.headers.get('content-type'), 'application/problem+json', name);
      assert.ok(response.headers.get('www-authenticate'), name);
      assert.doesNotMatch(await response.text(), new RegExp(task.id), name);
      assert.equal(await stateOf(task), 'active', name);
    }
  assert.equal((await end({}, 'GET')).status, 405);
  assert.equal((await fetch(asked, { method: 'POST' })).status, 405);
  const own = await task.headersFor(asked, 'GET');
  const told = (await (await fetch(asked, { headers: own })).json()) as { task: string; agent: string };
  assert.deepEqual([told.task, told.agent], [task.id, 'agent-a']);
  assert.equal((await fetch(asked, { headers: own })).status, 401, 'the same request again');

  // Another agent's valid token ends that agent's task, whatever the request says about whose.
  const theirs = await foreign.headersFor(`${target}`, 'POST');
  const answered = await fetch(`${target}?task=${task.id}`, {
    method: 'POST',
    headers: { ...theirs, 'content-type': 'application/json' },
    body: JSON.stringify({ task: task.id }),
  });
  assert.deepEqual(await answered.json(), { task: foreign.id });
  assert.deepEqual([await stateOf(task), await stateOf(other)], ['active', 'active']);

  const headers = await task.headersFor(target, 'POST');
  assert.deepEqual(await (await end(headers)).json(), { task: task.id });
  assert.equal(await stateOf(task), 'ended');
  assert.equal((await end(headers)).status, 401, 'the same request again');
  assert.equal((await fetch(asked, { headers: await task.headersFor(asked, 'GET') })).status, 401, 'it is over');
  assert.equal((await end(await other.headersFor(target, 'POST'))).status, 200);
  assert.equal(await stateOf(other), 'ended');
});
