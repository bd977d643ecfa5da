import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import type { ManifestInput, UpstreamAuthorization } from '@gatehouse/protocol';
import { openConnect } from './support/connect-browser.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Tool servers that use the gate's authorization against it. One hostile host plays them all: `/mcp/NAME` is the server of a case,
 * `/as/NAME` its authorization server; what comes to a token endpoint is counted.
 */
let workspace: Workspace;
let origin = '';
const hits: { path: string; body: string; authorization: string | undefined }[] = [];
const secret = 'canary-5d1f6b0a9c';
/** What the 403 of the case asked for so far. */
let wanted = 0;
/** The tool server of that case takes no token any more, and names another authorization server. */
let hasSwitched = false;

const host = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  answer(request, response, Buffer.concat(chunks).toString());
});

/** What a browser is to be sent to. */
const endpoints: Record<string, string> = { script: 'javascript:alert(1)', plainly: 'http://bank.example/authorize' };

function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
  const path = (request.url ?? '').split('?')[0] ?? '';
  const { authorization } = request.headers;
  hits.push({ path, body, authorization });
  const json = (document: unknown, status = 200) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  const name = path.split('/').at(-1) ?? '';
  if (path.startsWith('/.well-known/oauth-protected-resource/mcp/')) {
    const servers: Record<string, string> = {
      metadata: 'http://169.254.169.254/latest',
      private: 'https://10.1.2.3/as',
      other: `http://localhost:${new URL(origin).port}/as/other`,
      ...(hasSwitched && { switches: `${origin}/as/switched` }),
    };
    const resource = name === 'resource' ? 'https://bank.example/mcp' : `${origin}/mcp/${name}`;
    return void json({ resource, authorization_servers: [servers[name] ?? `${origin}/as/${name}`] });
  }
  if (path.startsWith('/.well-known/oauth-authorization-server/as/')) {
    if (name === 'huge') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.on('error', () => undefined);
      response.end(`{"issuer":"${'x'.repeat(10 * 1024 * 1024)}"}`);
      return;
    }
    return void json({
      issuer: name === 'issuer' ? 'https://bank.example' : `${origin}/as/${name}`,
      authorization_endpoint: endpoints[name] ?? `${origin}/authorize/${name}`,
      token_endpoint: `${origin}/token/${name}`,
      ...(name === 'unbound' && { dpop_signing_alg_values_supported: ['ES256'] }),
      ...(name !== 'no-pkce' && { code_challenge_methods_supported: ['S256'] }),
      authorization_response_iss_parameter_supported: true,
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'private_key_jwt'],
    });
  }
  if (path === '/token/redirect') return void response.writeHead(307, { location: `${origin}/token/elsewhere` }).end();
  if (path.startsWith('/token/'))
    return void json({
      access_token: `token-of-${name}-${hits.length}`,
      token_type: name === 'bound' ? 'DPoP' : 'Bearer',
      ...(personal.includes(name) && { refresh_token: `refresh-of-${name}` }),
    });
  if (!path.startsWith('/mcp/')) return void response.writeHead(404).end();
  if (authorization === undefined) return void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
  if (name === 'greedy') {
    const challenge = `Bearer error="insufficient_scope", scope="more-${wanted++}"`;
    return void response.writeHead(403, { 'www-authenticate': challenge }).end();
  }
  if (name === 'never' || (name === 'switches' && hasSwitched))
    return void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end();
  if (name === 'away') return void response.writeHead(307, { location: `${origin}/stolen` }).end();
  const value = authorization.split(' ')[1] ?? '';
  const shown: Record<string, string> = {
    plain: value,
    escaped: [...value].map((each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
    encoded: Buffer.from(`x${value}`).toString('base64'),
  };
  const { id } = JSON.parse(body) as { id: number };
  if (name === 'streamed') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const said = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: value } };
    return void response.end(`data: ${JSON.stringify(said)}\n\n`);
  }
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(`{"jsonrpc":"2.0","id":${id},"error":{"code":-32000,"message":"${shown[name] ?? 'no'}"}}`);
}

/** Connected by a person. */
const personal = ['mixed', 'no-pkce', ...Object.keys(endpoints), 'moves', 'changes', 'switches', 'late'];
const names = [
  ...['metadata', 'private', 'other', 'resource', 'issuer', 'huge', 'redirect', 'greedy', 'never', 'away'],
  ...['plain', 'escaped', 'encoded', 'streamed', 'secret', 'pinned', 'unbound', 'bound', ...personal],
];

const authorization = (name: string): UpstreamAuthorization =>
  personal.includes(name)
    ? ({ grant: 'authorization_code', clientId: 'gate' } as UpstreamAuthorization)
    : ({
        grant: 'client_credentials',
        clientId: 'gate',
        ...(name === 'secret' && { clientSecret: 'bank' }),
        ...(name === 'unbound' && { dpop: 'required' }),
        ...(name === 'pinned' && { issuer: `${origin}/as/as-agreed` }),
      } as UpstreamAuthorization);

/** `at`: the address that its manifest has. */
const serverOf = (name: string, at = name): ManifestInput => ({
  kind: 'ToolServer',
  name,
  environments: ['production'],
  transport: {
    type: 'http',
    url: `${origin}/mcp/${at}`,
    allowPrivateAddress: true,
    authorization: authorization(name),
  },
});

before(async () => {
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
  workspace = await startWorkspace();
  await workspace.operator('PUT /secrets/:name', {
    params: { name: 'bank' },
    body: { value: secret, origins: ['https://bank.example'] },
  });
  await workspace.apply([{ kind: 'Environment', name: 'production' }, ...names.map((name) => serverOf(name))]);
});
after(async () => {
  await workspace.close();
  host.closeAllConnections();
  host.close();
});

const hitsOf = (path: string) => hits.filter((hit) => hit.path === path);

async function problemOf(name: string): Promise<string> {
  try {
    await workspace.operator('POST /servers/:name/refresh', { params: { name } });
    return '';
  } catch (error) {
    return String(error);
  }
}

/** @proves upstream.discovery */
for (const [name, problem] of [
  ['metadata', /where nothing may be called|not https/],
  ['private', /private address/],
  ['other', /not https/],
  ['resource', /is for another resource/],
  ['issuer', /metadata of another issuer/],
  ['pinned', /but the manifest allows .*as-agreed only/],
  ['huge', /more than \d+ bytes/],
] as const) {
  test(`documents that lead astray get no token request: ${name}`, async () => {
    assert.match(await problemOf(name), problem);
    assert.deepEqual(hitsOf(`/token/${name}`), []);
  });
}

/** @proves upstream.no-redirect */
test('a redirect carries neither an assertion nor a token anywhere', async () => {
  assert.match(await problemOf('redirect'), /redirects/);
  assert.deepEqual(hitsOf('/token/elsewhere'), []);
  assert.match(await problemOf('away'), /redirects/);
  assert.deepEqual(hitsOf('/stolen'), []);
  assert.equal(hitsOf('/token/away').length, 1);
});

/** @proves upstream.bounded */
test('a server that never has enough scopes, or never takes a token, is not asked for ever', async () => {
  assert.notEqual(await problemOf('greedy'), '');
  assert.ok(hitsOf('/token/greedy').length <= 2 * 3, String(hitsOf('/token/greedy').length));
  assert.notEqual(await problemOf('never'), '');
  const tokens = hitsOf('/token/never').length;
  assert.notEqual(await problemOf('never'), '');
  assert.equal(hitsOf('/token/never').length, tokens);
});

/** @proves law-3.no-echo */
for (const name of ['plain', 'escaped', 'encoded', 'streamed']) {
  test(`a token that comes back ${name} reaches nobody`, async () => {
    const problem = await problemOf(name);
    assert.match(problem, /sent back the credential|sent back the token/);
    assert.doesNotMatch(problem, /token-of-/);
  });
}

/** @proves law-3.secrets-stay */
test('a secret is not sent to the authorization server that a tool server picks', async () => {
  assert.match(await problemOf('secret'), /is for https:\/\/bank\.example and is not sent to/);
  assert.ok(hits.every(({ body, authorization }) => !`${body}${authorization}`.includes(secret)));
  assert.ok(hits.every(({ authorization }) => !authorization?.startsWith('Basic')));
});

/** @proves upstream.mix-up */
test('the answer of one authorization server at the way back of another brings no code to a token endpoint', async () => {
  const begun = await workspace.operator('POST /servers/:name/connect', { params: { name: 'changes' } });
  const { url, cookie } = await openConnect(workspace, begun.url);
  const asked = new URL(url).searchParams;
  const own = new URL(asked.get('redirect_uri') ?? '');
  assert.equal(own.href, `${workspace.url}/upstream/callback/${origin.replace('http://', 'http:')}/as/changes`);
  for (const [path, status] of [
    [own.pathname.replace('changes', 'honest'), 403],
    [own.pathname, 410],
  ] as const) {
    const again = new URL(path, own);
    const answer = { code: 'a-code', state: asked.get('state') ?? '', iss: `${origin}/as/changes` };
    again.search = `?${new URLSearchParams(answer)}`;
    assert.equal((await fetch(again, { headers: { cookie } })).status, status);
  }
  assert.deepEqual(hitsOf('/token/changes'), []);
});

/** @proves upstream.mix-up */
test('an answer that names another issuer, or none, brings no code to a token endpoint', async () => {
  for (const iss of [undefined, 'https://bank.example', `${origin}/as/mixed/`]) {
    const begun = await workspace.operator('POST /servers/:name/connect', { params: { name: 'mixed' } });
    const { url, cookie } = await openConnect(workspace, begun.url);
    const asked = new URL(url).searchParams;
    assert.equal(asked.get('code_challenge_method'), 'S256');
    assert.equal(asked.get('resource'), `${origin}/mcp/mixed`);
    const back = new URL(asked.get('redirect_uri') ?? '');
    back.searchParams.set('code', 'a-code');
    back.searchParams.set('state', asked.get('state') ?? '');
    if (iss !== undefined) back.searchParams.set('iss', iss);
    assert.equal((await fetch(back, { headers: { cookie } })).status, 502);
  }
  assert.deepEqual(hitsOf('/token/mixed'), []);
  await assert.rejects(workspace.operator('POST /servers/:name/connect', { params: { name: 'no-pkce' } }), /PKCE/);
});

/** @proves upstream.discovery */
test('a person is sent to no address that is not https, and to no script', async () => {
  for (const name of Object.keys(endpoints))
    await assert.rejects(
      workspace.operator('POST /servers/:name/connect', { params: { name } }),
      /authorization_endpoint of .* is not an https address/,
    );
});

/** Where a browser comes back to with the code that the authorization server of `name` gave. */
async function wayBack(name: string): Promise<() => Promise<Response>> {
  const begun = await workspace.operator('POST /servers/:name/connect', { params: { name } });
  const { url, cookie } = await openConnect(workspace, begun.url);
  const asked = new URL(url).searchParams;
  const back = new URL(asked.get('redirect_uri') ?? '');
  for (const [member, value] of [
    ['code', 'a-code'],
    ['state', asked.get('state') ?? ''],
    ['iss', `${origin}/as/${name}`],
  ] as const)
    back.searchParams.set(member, value);
  return () => fetch(back, { headers: { cookie } });
}

const sentTo = (path: string) => hitsOf(path).map(({ authorization }) => authorization);

/** @proves upstream.consent */
test('what a person has consented to stays with the address that they saw, whatever the manifest says later', async () => {
  assert.equal((await (await wayBack('moves'))()).status, 200);
  await problemOf('moves');
  assert.ok(sentTo('/mcp/moves').some((sent) => sent?.startsWith('Bearer token-of-moves')));
  await workspace.apply([serverOf('moves', 'moved')]);
  assert.match(await problemOf('moves'), /Nobody has connected/);
  assert.ok(sentTo('/mcp/moved').length > 0);
  assert.ok(sentTo('/mcp/moved').every((sent) => sent === undefined));

  const back = await wayBack('changes');
  await workspace.apply([serverOf('changes', 'changed')]);
  assert.equal((await back()).status, 409);
  assert.deepEqual(hitsOf('/token/changes'), []);
});

/** @proves upstream.mix-up */
test('a refresh token goes to no other authorization server than its own, though the tool server names another', async () => {
  assert.equal((await (await wayBack('switches'))()).status, 200);
  await problemOf('switches');
  const before = hitsOf('/token/switches').length;
  hasSwitched = true;
  assert.match(await problemOf('switches'), /was .*as\/switches and is now .*as\/switched/);
  assert.deepEqual(hitsOf('/token/switched'), []);
  assert.equal(hitsOf('/token/switches').length, before);
  assert.ok(hits.every(({ path, body }) => path === '/token/switches' || !body.includes('refresh-of-switches')));
});

/** @proves upstream.bound-token */
test('a token that is bound to a key, though none was given, is not used', async () => {
  assert.match(await problemOf('bound'), /gave a bound token that nobody asked for/);
  assert.ok(sentTo('/mcp/bound').every((sent) => sent === undefined));
});

test('a way back that was waited for too long leads nowhere, and its code to no token endpoint', async () => {
  const back = await wayBack('late');
  const database = new DatabaseSync(join(workspace.dataDir, 'gatehouse.db'));
  database.exec('pragma busy_timeout = 5000');
  assert.equal(database.prepare('update upstream_connects set expires_at = 1').run().changes >= 1, true);
  database.close();
  assert.equal((await back()).status, 410);
  assert.deepEqual(hitsOf('/token/late'), []);
});

/** @proves upstream.bound-token */
test('a token that is not bound, where a bound one is required, is not used', async () => {
  assert.match(await problemOf('unbound'), /not bound to a key/);
  assert.ok(sentTo('/mcp/unbound').every((sent) => sent === undefined));
});
