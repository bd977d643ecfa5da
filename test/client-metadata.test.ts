import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { ConsentClient } from '@gatehouse/protocol';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createAuthority } from '../packages/server/src/identity/client-certificate/testing/authority.ts';
import { authorize } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Clients whose id is the address of a document that describes them (draft-ietf-oauth-client-id-metadata-document). */
let workspace: Workspace;
let owner: SignedInPerson;
let site: Server;
let base: string;
let asked: string[] = [];
const CALLBACK = 'http://127.0.0.1:9/callback';
const answers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();

before(async () => {
  const authority = await createAuthority('clients.test');
  const { cert, key } = await authority.issue({ dns: ['localhost'] });
  site = createServer({ cert, key }, (request, response) => {
    asked.push(request.url ?? '');
    const answer = answers.get(request.url ?? '');
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  base = `https://localhost:${(site.address() as AddressInfo).port}`;
  workspace = await startWorkspace({
    clients: { hosts: ['localhost'] },
    clientMetadata: { allowPrivateAddress: true, ca: authority.root },
  });
  await workspace.apply(manifests());
  owner = await workspace.person('owner@example.test');
});
after(async () => {
  site.closeAllConnections();
  site.close();
  await workspace.close();
});

const choose = { choose: <T extends { agent: string }>(all: T[]) => all.find(({ agent }) => agent === 'agent-bearer') };
const verifier = randomBytes(32).toString('base64url');

/** Serves a document under a new address and gives that. */
function describeClient(change: Record<string, unknown> = {}, headers: Record<string, string> = {}): string {
  const path = `/${randomUUID()}.json`;
  const document = {
    client_id: base + path,
    client_name: 'Described by itself',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'none',
    ...change,
  };
  answers.set(path, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(document));
  });
  return base + path;
}

const addressOf = (client: string, redirectUri = CALLBACK, at = workspace) =>
  `${at.url}/oauth/authorize?${new URLSearchParams({
    response_type: 'code',
    client_id: client,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })}`;

const tokenFor = async (client: string, code: string, more: Record<string, string> = {}) => {
  const form = { grant_type: 'authorization_code', client_id: client, code, code_verifier: verifier };
  const body = new URLSearchParams({ ...form, redirect_uri: CALLBACK, ...more });
  const response = await fetch(`${workspace.url}/oauth/token`, { method: 'POST', body });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

async function refused(client: string, error: RegExp, at = workspace): Promise<void> {
  const response = await fetch(addressOf(client, CALLBACK, at), { redirect: 'manual' });
  assert.equal(response.headers.get('location'), null, 'no browser is sent to an address that nobody vouches for');
  assert.ok(response.status >= 400 && response.status < 500, String(response.status));
  assert.match(JSON.stringify(await response.json()), error);
}

/** @proves cimd.client */
test('a client is what its document says, the person sees whose it is, and it gets no more than a code for their consent', async () => {
  const client = describeClient();
  let shown: ConsentClient | undefined;
  const back = await authorize(addressOf(client), owner, {
    ...choose,
    onView: (view) => {
      shown = view.client;
    },
  });
  assert.deepEqual(shown, {
    id: client,
    name: 'Described by itself',
    known: 'metadata-document',
    host: new URL(base).host,
    redirectHost: '127.0.0.1:9',
    loopback: true,
  });
  const code = back.searchParams.get('code') ?? '';
  const { status, body } = await tokenFor(client, code);
  assert.equal(status, 200, JSON.stringify(body));
  const other = await tokenFor(client, '', { grant_type: 'client_credentials' });
  assert.equal(other.body.error, 'unauthorized_client', JSON.stringify(other.body));
});

test('a client with keys in its document proves itself with them, and without them is nobody', async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const client = describeClient({
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'one' }] },
  });
  const back = await authorize(addressOf(client), owner, choose);
  const code = back.searchParams.get('code') ?? '';
  assert.equal((await tokenFor(client, code)).status, 401);
  const assertion = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(client)
    .setSubject(client)
    .setAudience(workspace.url)
    .setExpirationTime('60s')
    .sign(privateKey);
  const { status, body } = await tokenFor(client, code, {
    client_assertion: assertion,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  });
  assert.equal(status, 200, JSON.stringify(body));
});

test('what a client calls itself stands on one line, and hides nothing, on the page and in the record', async () => {
  const client = describeClient({ client_name: 'App\u001b[2J\u202e\nclient agent-a (agent)\u0000' });
  let shown: string | undefined;
  await authorize(addressOf(client), owner, {
    ...choose,
    onView: (view) => {
      shown = view.client.name;
    },
  });
  assert.equal(shown, 'App\ufffd[2J\ufffd\ufffdclient agent-a (agent)\ufffd');
  const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.grant' } });
  const said = items.flatMap(({ record }) => record.changes).filter((line) => line.includes(client));
  assert.ok(said.length > 0);
  for (const line of said) assert.doesNotMatch(line, /[\p{Cc}\u202e]/u);
});

test('an address that is not in the document gets nothing', async () => {
  const client = describeClient();
  for (const redirect of ['https://evil.example/callback', 'http://127.0.0.1/other', 'http://localhost/callback']) {
    const response = await fetch(addressOf(client, redirect), { redirect: 'manual' });
    assert.equal(response.status, 400, redirect);
    assert.equal(response.headers.get('location'), null, redirect);
  }
});

/** @proves cimd.refused */
test('documents of another client, with a secret, too large, no JSON, elsewhere or not there are refused', async () => {
  await refused(describeClient({ client_id: `${base}/other.json` }), /invalid_client/);
  await refused(describeClient({ client_secret: 'x' }), /invalid_client/);
  await refused(describeClient({ token_endpoint_auth_method: 'client_secret_basic' }), /invalid_client/);
  await refused(describeClient({ filler: 'x'.repeat(17 * 1024) }), /invalid_client/);
  await refused(`${base}/missing.json`, /invalid_client/);
  answers.set('/text', (_request, response) => response.writeHead(200).end('<html>'));
  await refused(`${base}/text`, /invalid_client/);
  const target = describeClient();
  answers.set('/moved', (_request, response) => response.writeHead(302, { location: target }).end());
  asked = [];
  await refused(`${base}/moved`, /invalid_client/);
  assert.deepEqual(asked, ['/moved'], 'a redirect is not followed');
  for (let again = 0; again < 3; again++) await refused(`${base}/moved`, /invalid_client/);
  assert.deepEqual(asked, ['/moved'], 'whoever asks again and again does not make us ask again');
});

test('an id with a fragment, a user or dots in its path is refused without a look', async () => {
  asked = [];
  for (const id of [`${base}/a.json#b`, `${base.replace('//', '//user@')}/a.json`, `${base}/x/../a.json`])
    await refused(id, /invalid_client/);
  assert.deepEqual(asked, []);
});

/** @proves cimd.hosts */
test('only the hosts that the operator has named are asked', async () => {
  asked = [];
  await refused('https://clients.example/app.json', /not let in here/);
  await refused('https://localhost.evil.example/app.json', /not let in here/);
  assert.deepEqual(asked, []);
});

/** @proves cimd.private-addresses */
test('without an allowance no private address is asked, by name or by number', async () => {
  const other = await startWorkspace();
  try {
    asked = [];
    const { port } = new URL(base);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, '169.254.169.254', '10.0.0.1'])
      await refused(`https://${host}/app.json`, /invalid_client/, other);
    assert.deepEqual(asked, []);
  } finally {
    await other.close();
  }
});
