import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { channelManifest, toolServerManifest } from '@gatehouse/protocol';
import { agentKeyFromJwk } from '@gatehouse/sdk';
import { exportJWK, generateKeyPair } from 'jose';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** What the control API does with people who may less than they try, and with input that nobody should send. */
let workspace: Workspace;
let developer: SignedInPerson;
let other: SignedInPerson;
let auditor: SignedInPerson;

before(async () => {
  workspace = await startWorkspace();
  const people = [
    ['developer@example.test', 'developer'],
    ['other@example.test', 'owner'],
  ] as const;
  await workspace.apply([
    ...manifests(),
    ...people.map(([email, role]) => ({ kind: 'Person' as const, email, displayName: email, roles: [role] })),
    {
      kind: 'Agent',
      name: 'agent-of-developer',
      owner: 'developer@example.test',
      purpose: 'tests',
      environment: 'production',
      blueprint: 'support',
    },
  ]);
  developer = await workspace.person('developer@example.test');
  other = await workspace.person('other@example.test');
  auditor = await workspace.person('auditor@example.test');
});
after(() => workspace.close());

async function newKey() {
  const pair = await generateKeyPair('ES256', { extractable: true });
  return (await agentKeyFromJwk(await exportJWK(pair.privateKey))).publicJwk;
}

test('to give an agent a key is to act as it: its owner, security and admins may, and nobody else', async () => {
  const key = await newKey();
  for (const person of [developer, other, auditor]) {
    await assert.rejects(person.api('POST /agents/:name/keys', { params: { name: 'agent-a' }, body: { key } }), {
      status: 403,
    });
  }
  const mine = { name: 'agent-of-developer' };
  const { manifest } = await developer.api('POST /agents/:name/keys', { params: mine, body: { key } });
  assert.equal(manifest.keys.length, 1);
  const owner = await workspace.person('owner@example.test');
  await owner.api('POST /agents/:name/keys', { params: { name: 'agent-a' }, body: { key: await newKey() } });
});

test('an owner stops their own agents and tasks, and those of nobody else', async () => {
  const agent = await workspace.agent('agent-of-developer');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  for (const person of [other, auditor, await workspace.person('approver@example.test')]) {
    await assert.rejects(person.api('POST /tasks/:id/end', { params: { id: task.id } }), { status: 403 });
    await assert.rejects(person.api('POST /agents/:name/kill', { params: { name: 'agent-of-developer' } }), {
      status: 403,
    });
  }
  assert.equal((await developer.api('POST /tasks/:id/end', { params: { id: task.id } })).state, 'ended');
  const killed = await developer.api('POST /agents/:name/kill', { params: { name: 'agent-of-developer' } });
  assert.equal(killed.agent, 'agent-of-developer');
  // Who may stop may not start again.
  const active = { params: { name: 'agent-of-developer' }, body: { state: 'active' } };
  await assert.rejects(developer.api('POST /agents/:name/state', active), { status: 403 });
});

test('a plan of somebody who may not apply starts no server of it', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    response.writeHead(500).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const mine = toolServerManifest.parse({
    kind: 'ToolServer',
    name: 'mine',
    environments: ['production'],
    transport: { type: 'http', url: `http://127.0.0.1:${port}/mcp`, allowPrivateAddress: true },
  });
  const { changes } = await developer.api('POST /plan', { body: { manifests: [mine] } });
  assert.equal(changes.find(({ name }) => name === 'mine')?.operation, 'create');
  assert.equal(asked, 0);
  await workspace.operator('POST /plan', { body: { manifests: [mine] } });
  assert.ok(asked > 0);
  server.close();
});

test('a plan tells nobody which secrets there are who may not list them', async () => {
  const channels = ['kept', 'not-kept'].map((secret) =>
    channelManifest.parse({ kind: 'Channel', name: secret, webhook: { url: 'https://hook.example.test/', secret } }),
  );
  await workspace.operator('PUT /secrets/:name', {
    params: { name: 'kept' },
    body: { value: 'canary-of-kept', origins: ['https://hook.example.test'] },
  });
  const body = { manifests: channels };
  await assert.rejects(developer.api('GET /secrets'), { status: 403 });
  assert.deepEqual((await developer.api('POST /plan', { body })).warnings, []);
  const { warnings } = await auditor.api('POST /plan', { body });
  assert.deepEqual(
    warnings.map(({ name }) => name),
    ['not-kept'],
  );
});

/** @proves rfc9457.problems */
test('whatever is wrong with a request, the answer is a problem document that says what', async () => {
  const get = (path: string) => fetch(workspace.url + path, { headers: { cookie: auditor.cookie } });
  const expected: Record<string, [number, string]> = {
    '/api/v1/nothing': [404, 'route.unknown'],
    '/api/v1/agents/agent-nobody': [404, 'agent.unknown'],
    '/api/v1/agents/x%00': [400, 'path.invalid'],
    '/api/v1/agents/..%2f..%2fkeys': [404, 'agent.unknown'],
    '/api/v1/agents?limit=0': [400, 'query.invalid'],
    '/api/v1/agents?limit=9999': [400, 'query.invalid'],
    '/api/v1/agents?limit=1&limit=2': [400, 'query.invalid'],
    '/api/v1/actions?agnet=agent-a': [400, 'query.invalid'],
    '/api/v1/actions?agent=%00': [400, 'query.invalid'],
    '/api/v1/actions?from=yesterday': [400, 'query.time'],
    '/api/v1/actions?cursor=x': [400, 'cursor.malformed'],
    '/api/v1/records?cursor=W251bGwsMSwyXQ': [400, 'cursor.malformed'],
    '/api/v1/records?cursor=e30': [400, 'cursor.malformed'],
    '/api/v1/records?cursor=WzEsIlx1MDAwMCIsMV0': [400, 'cursor.malformed'],
    '/api/v1/records/nothing/1/receipt': [404, 'record.unknown'],
    '/api/v1/records/nothing/1e99/receipt': [404, 'record.unknown'],
    '/log/nothing/checkpoint': [404, 'log.resource-unknown'],
    '/log/nothing/tile/0/000': [404, 'log.resource-unknown'],
    '/log/nothing/tile/zero/x': [404, 'log.resource-unknown'],
    '/log/nothing/tile/99/999': [404, 'log.resource-unknown'],
    '/log/nothing/anything': [404, 'log.resource-unknown'],
  };
  for (const [path, [status, title]] of Object.entries(expected)) {
    const response = await get(path);
    const body = (await response.json()) as { title: string; status: number; type: string; detail: string };
    assert.deepEqual([response.status, body.status, body.title], [status, status, title], path);
    assert.equal(body.type, `urn:gatehouse:error:${title}`);
    assert.ok(body.detail.length > 20, path);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  }
});

/** @proves law-10.json */
test('bodies that are too large, too deep, truncated, not UTF-8, ambiguous or not JSON are refused by name', async () => {
  const post = (body: string | Uint8Array<ArrayBuffer>) =>
    fetch(`${workspace.url}/api/v1/signin/link`, {
      method: 'POST',
      headers: { origin: workspace.url, 'content-type': 'application/json' },
      body,
    });
  const bodies: [string | Uint8Array<ArrayBuffer>, number, string][] = [
    ['{', 400, 'json.malformed'],
    ['[]', 400, 'body.invalid'],
    ['"text"', 400, 'body.invalid'],
    ['{"token":"a","token":"b"}', 400, 'json.duplicate-key'],
    ['{"token":"a","__proto__":{}}', 400, 'json.forbidden-key'],
    ['{"token":"\\u0000"}', 400, 'body.invalid'],
    ['{"token":"a","more":1}', 400, 'body.invalid'],
    ['{"token":1e999}', 400, 'json.number'],
    [`${'['.repeat(100)}`, 400, 'json.too-deep'],
    [new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400, 'json.not-utf8'],
    [`{"token":"${'a'.repeat(5 * 1024 * 1024)}"}`, 413, 'body.too-large'],
  ];
  for (const [body, status, title] of bodies) {
    const response = await post(body);
    const problem = (await response.json()) as { title: string };
    assert.deepEqual([response.status, problem.title], [status, title], String(body).slice(0, 40));
  }
});

/** @proves law-10.json */
test('a body that does not arrive, or never ends, is cut off, also for those who are not signed in', async () => {
  const { port } = new URL(workspace.url);
  const speak = (headers: string, body: (send: (text: string) => void) => void) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(
          `POST /api/v1/signin/link HTTP/1.1\r\nHost: localhost:${port}\r\nOrigin: ${workspace.url}\r\nContent-Type: application/json\r\n${headers}\r\n\r\n`,
        );
        body((text) => socket.writable && socket.write(text));
      });
      let answer = '';
      socket.on('data', (data) => {
        answer += data;
      });
      socket.on('close', () => resolve(answer));
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (answer === '' && error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
      });
    });
  const [slow, endless] = await Promise.all([
    speak('Content-Length: 100', (send) => send('{"token":')),
    speak('Transfer-Encoding: chunked', (send) => {
      const text = 'a'.repeat(64 * 1024);
      const timer = setInterval(() => send(`${text.length.toString(16)}\r\n${text}\r\n`), 1);
      setTimeout(() => clearInterval(timer), 25_000).unref();
    }),
  ]);
  assert.match(slow, /^HTTP\/1.1 408/);
  assert.match(endless, /^HTTP\/1.1 413/);
});
