import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { ManifestInput, UpstreamAuthorizationView } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { openConnect } from './support/connect-browser.ts';
import {
  type ForeignAuthorizationServer,
  startForeignAuthorizationServer,
  wayBackTo,
} from './support/foreign-authorization-server.ts';
import { freePort } from './support/free-port.ts';
import { type ProtectedServer, startProtectedServer } from './support/protected-server.ts';
import { type ApiError, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * The gate authorizes itself at an MCP server on the official SDK, with tokens of oidc-provider: with its own key and no person, and by a
 * person's consent. The agent behind it has neither token nor secret at any time.
 */
let workspace: Workspace;
let issuer: ForeignAuthorizationServer;
let peer: ProtectedServer;
let task: AgentTask;
const clientSecret = 'canary-client-secret-6b1f0c9e';

before(async () => {
  const port = await freePort();
  const gate = `http://localhost:${port}`;
  issuer = await startForeignAuthorizationServer((own) => [
    {
      client_id: 'gate',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks_uri: `${gate}/oauth/jwks`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: 'gate-for-person',
      client_secret: clientSecret,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [wayBackTo(gate, own)],
      response_types: ['code'],
    },
  ]);
  peer = await startProtectedServer(issuer.issuer);
  workspace = await startWorkspace({ port });
  await workspace.operator('PUT /secrets/:name', {
    params: { name: 'client-secret' },
    body: { value: clientSecret, origins: [issuer.issuer] },
  });
  const applied = await workspace.apply(manifests());
  assert.deepEqual(
    applied.problems.map(({ server }) => server).sort(),
    ['misdirected', 'personal'],
    JSON.stringify(applied.problems),
  );
  const agent = await workspace.agent('agent-a');
  task = await agent.startTask({ template: 'all', intent: 'use what there is' });
});
after(async () => {
  await workspace.close();
  await peer.close();
  await issuer.close();
});

function manifests(): ManifestInput[] {
  const tools = Object.fromEntries(
    ['whoami', 'write', 'leak'].map((name) => [name, { tier: 1 as const, effects: ['read' as const] }]),
  );
  const server = (name: string, authorization: object): ManifestInput =>
    ({
      kind: 'ToolServer',
      name,
      environments: ['production'],
      transport: { type: 'http', url: peer.url, allowPrivateAddress: true, authorization },
      tools,
    }) as ManifestInput;
  const personal = { grant: 'authorization_code', clientId: 'gate-for-person', clientSecret: 'client-secret' };
  return [
    { kind: 'Environment', name: 'production' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    { kind: 'Person', email: 'other@example.test', displayName: 'Other', roles: ['admin'] },
    { kind: 'Blueprint', name: 'support', templates: ['all'] },
    {
      kind: 'Agent',
      name: 'agent-a',
      owner: 'owner@example.test',
      purpose: 'tests',
      environment: 'production',
      blueprint: 'support',
    },
    server('own', { grant: 'client_credentials', clientId: 'gate', dpop: 'required' }),
    server('narrow', { grant: 'client_credentials', clientId: 'gate', scopes: ['read'] }),
    server('personal', personal),
    server('misdirected', { grant: 'client_credentials', clientId: 'gate', clientSecret: 'unknown-secret' }),
    { kind: 'Template', name: 'all', allow: [{ tools: ['own/*', 'narrow/*', 'personal/*'] }] },
  ];
}

async function call(server: string, tool: string): Promise<string> {
  const client = new Client({ name: 'agent', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  try {
    await client.connect(new StreamableHTTPClientTransport(task.mcpUrl(server), { fetch: task.fetch }));
    return JSON.stringify(await client.callTool({ name: tool, arguments: {} }));
  } catch (error) {
    return String(error);
  } finally {
    await client.close();
  }
}

async function viewOf(server: string): Promise<UpstreamAuthorizationView> {
  const { items } = await workspace.operator('GET /servers');
  return items.find(({ name }) => name === server)?.authorization[0] as UpstreamAuthorizationView;
}

async function connect(server: string): Promise<void> {
  const begun = await workspace.operator('POST /servers/:name/connect', { params: { name: server } });
  const { url, cookie } = await openConnect(workspace, begun.url);
  const page = await fetch(await issuer.consent(url), { headers: { cookie } });
  assert.equal(page.status, 200, await page.text());
  await workspace.operator('POST /servers/:name/refresh', { params: { name: server } });
}

/**
 * @proves law-3.own-token
 * @proves upstream.bound-token
 * @proves upstream.resource
 */
test('an agent calls a tool of a server that wants OAuth, and the gate authorizes itself with its own key', async () => {
  assert.match(await call('own', 'whoami'), /hello/);
  const last = peer.accepted.at(-1);
  assert.equal(last?.scheme, 'DPoP');
  const claims = JSON.parse(Buffer.from(last?.token.split('.')[1] ?? '', 'base64url').toString());
  assert.equal(claims.aud, peer.url);
  assert.equal(claims.client_id, 'gate');
  const view = await viewOf('own');
  assert.equal(view.state, 'authorized');
  assert.equal(view.bound, true);
  const { items } = await workspace.operator('GET /records', { query: { operation: 'upstream.token' } });
  assert.ok(items.length > 0);
});

/** @proves upstream.step-up */
test('more scopes are asked for when the server wants them, together with those it had', async () => {
  assert.match(await call('own', 'write'), /written/);
  assert.deepEqual((await viewOf('own')).scopes.sort(), ['read', 'write']);
});

/** @proves upstream.scope-bound */
test('no scope is asked for that the manifest does not allow', async () => {
  assert.match(await call('narrow', 'whoami'), /hello/);
  const before = issuer.grants.length;
  assert.match(await call('narrow', 'write'), /403/);
  assert.equal(issuer.grants.length, before);
  assert.match((await viewOf('narrow')).lastError ?? '', /write, which its manifest does not allow/);
});

/** @proves law-3.no-echo */
test('an answer that holds the token is cut off, and the token is used no more', async () => {
  assert.match(await call('own', 'whoami'), /hello/);
  const seen = peer.accepted.at(-1)?.token ?? '';
  const answer = await call('own', 'leak');
  const leaked = peer.accepted.at(-1)?.token ?? '';
  assert.ok(!answer.includes(leaked) && !answer.includes(leaked.split('.')[2] ?? ''), answer);
  assert.match((await viewOf('own')).lastError ?? '', /sent back the token/);
  assert.ok(seen.length > 0);
});

/** @proves upstream.consent */
test('a person connects a server once; it is renewed without them, by one request, and disconnected for good', async () => {
  assert.doesNotMatch(await call('personal', 'whoami'), /hello/);
  const before = await viewOf('personal');
  assert.equal(before.state, 'not-connected');
  assert.match(before.lastError ?? '', /Nobody has connected/);
  await connect('personal');
  const connected = await viewOf('personal');
  assert.equal(connected.state, 'authorized');
  assert.equal(connected.connectedBy, 'operator');
  assert.equal(connected.renewable, true);
  assert.match(await call('personal', 'whoami'), /hello/);

  peer.refuseSeen();
  const renewals = issuer.grants.filter((grant) => grant === 'refresh_token').length;
  const answers = await Promise.all(Array.from({ length: 6 }, () => call('personal', 'whoami')));
  for (const answer of answers) assert.match(answer, /hello/);
  assert.equal(issuer.grants.filter((grant) => grant === 'refresh_token').length, renewals + 1);

  await workspace.restart();
  assert.match(await call('personal', 'whoami'), /hello/);

  assert.match(await call('personal', 'write'), /more scopes than were granted/);
  await connect('personal');
  assert.match(await call('personal', 'write'), /written/);

  const { revoked } = await workspace.operator('POST /servers/:name/disconnect', { params: { name: 'personal' } });
  assert.equal(revoked, true);
  assert.doesNotMatch(await call('personal', 'whoami'), /hello/);
});

/** @proves law-3.secrets-stay */
test('a secret never comes out again, and goes to no other origin', async () => {
  const listed = JSON.stringify(await workspace.operator('GET /secrets'));
  assert.ok(listed.includes('client-secret') && !listed.includes(clientSecret));
  await assert.rejects(
    workspace.operator('DELETE /secrets/:name', { params: { name: 'client-secret' } }),
    (error: ApiError) => error.status === 409,
  );
  for (const file of globSync('*.sqlite*', { cwd: workspace.dataDir }))
    assert.ok(!readFileSync(`${workspace.dataDir}/${file}`).includes(clientSecret), file);
  await workspace.operator('PUT /secrets/:name', {
    params: { name: 'unknown-secret' },
    body: { value: 'another-canary', origins: ['https://elsewhere.example'] },
  });
  await assert.rejects(
    workspace.operator('POST /servers/:name/refresh', { params: { name: 'misdirected' } }),
    /is for https:\/\/elsewhere\.example and is not sent to/,
  );
});

test('an answer of the browser is good once, and none that was not asked for is taken', async () => {
  const begun = await workspace.operator('POST /servers/:name/connect', { params: { name: 'personal' } });
  const { url, cookie } = await openConnect(workspace, begun.url);
  const back = await issuer.consent(url);
  assert.equal((await fetch(back, { headers: { cookie } })).status, 200);
  assert.equal((await fetch(back, { headers: { cookie } })).status, 410);
  assert.equal((await fetch(`${workspace.url}/upstream/callback/x?code=stolen&state=guessed`)).status, 410);
});

/** @proves upstream.browser */
test('nobody finishes what another has begun: not who is sent the address, not who is sent the way on or the way back', async () => {
  const owner = await workspace.person('owner@example.test');
  const other = await workspace.person('other@example.test');
  const begin = async () => (await owner.api('POST /servers/:name/connect', { params: { name: 'personal' } })).url;
  const isConnected = async () => (await viewOf('personal')).connectedBy === 'person:owner@example.test';

  const address = await begin();
  for (const cookie of [undefined, other.cookie]) {
    const answer = await fetch(address, { headers: { ...(cookie !== undefined && { cookie }) } });
    assert.equal(answer.status, 403);
    assert.deepEqual(answer.headers.getSetCookie(), []);
    assert.match(await answer.text(), /owner@example\.test began this.*If somebody sent you the address, close it/s);
  }
  // The way on, sent to somebody who consents with their own account: their browser has not the cookie.
  const own = await openConnect(workspace, address, { cookie: owner.cookie });
  const state = new URL(own.url).searchParams.get('state') ?? '';
  assert.ok(!address.includes(state) && !own.url.includes(address.split('/').at(-1) ?? ''));
  const grants = issuer.grants.length;
  const back = await issuer.consent(own.url);
  const another = await openConnect(workspace, await begin(), { cookie: owner.cookie });
  const [named] = own.cookie.split('=');
  for (const cookie of [another.cookie, `${named}=${'A'.repeat(43)}`, other.cookie]) {
    const once = await openConnect(workspace, await begin(), { cookie: owner.cookie });
    const answer = await fetch(await issuer.consent(once.url), { headers: { cookie } });
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /begun in another browser/);
    assert.equal((await fetch(await issuer.consent(once.url), { headers: { cookie: once.cookie } })).status, 410);
  }
  assert.equal(issuer.grants.length, grants, 'no code was redeemed');
  assert.equal(await isConnected(), false);
  const { items } = await workspace.operator('GET /records', { query: { operation: 'server.connect-refused' } });
  assert.equal(items.length, 3);

  assert.equal((await fetch(back, { headers: { cookie: own.cookie } })).status, 200);
  assert.ok(await isConnected());
});

/** @proves upstream.browser */
test('an address that the operator’s token began says what it does, and goes on only from its own page', async () => {
  const { url } = await workspace.operator('POST /servers/:name/connect', { params: { name: 'personal' } });
  const page = await fetch(url);
  assert.deepEqual([page.status, page.headers.getSetCookie()], [200, []]);
  const text = await page.text();
  assert.match(text, /Go on only if you began this yourself/);
  assert.ok(!text.includes(`${issuer.issuer}/auth`));
  for (const origin of [undefined, 'https://evil.example', 'null'])
    assert.equal((await fetch(url, { method: 'POST', headers: { ...(origin && { origin }) } })).status, 403);
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 405);
  assert.equal((await fetch(`${workspace.url}/upstream/connect/guessed`)).status, 410);
});
