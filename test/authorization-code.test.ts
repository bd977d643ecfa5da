import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type Answering, authorize, openBrowser } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** People drive an agent with a client: authorization code with PKCE, consent, refresh (RFC 6749, 7636, 8707, 9207, 9700). */
let workspace: Workspace;
let owner: SignedInPerson;

const CALLBACK = 'http://127.0.0.1:9/callback';
const app: ManifestInput = {
  kind: 'Client',
  name: 'app',
  displayName: 'An application',
  redirectUris: ['http://127.0.0.1/callback', 'https://app.example/callback'],
};
const group: ManifestInput = {
  kind: 'Group',
  name: 'shopkeepers',
  members: ['owner@example.test'],
  allow: [{ tools: ['shop/*'] }],
};
const other: ManifestInput = { ...app, name: 'other-app', displayName: 'Another' };

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply([...manifests(), group, app, other]);
  owner = await workspace.person('owner@example.test');
});
after(() => workspace.close());

const bearer: Answering = { choose: (choices) => choices.find(({ agent }) => agent === 'agent-bearer') };

interface Flow {
  verifier: string;
  url: URL;
}

function begin(change: Record<string, string | undefined> = {}): Flow {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL('/oauth/authorize', workspace.url);
  const parameters = {
    response_type: 'code',
    client_id: 'app',
    redirect_uri: CALLBACK,
    state: 'xyz',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    resource: `${workspace.url}/mcp`,
    ...change,
  };
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
  return { verifier, url };
}

type Prover = () => Promise<string>;

async function createProver(): Promise<Prover> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  return () =>
    new SignJWT({ htm: 'POST', htu: `${workspace.url}/oauth/token`, jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt()
      .sign(privateKey);
}

async function token(
  parameters: Record<string, string>,
  prove?: Prover,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${workspace.url}/oauth/token`, {
    method: 'POST',
    headers: prove ? { dpop: await prove() } : {},
    body: new URLSearchParams({ client_id: 'app', ...parameters }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const redeem = (code: string | null, verifier: string, change: Record<string, string> = {}, prove?: Prover) =>
  token(
    {
      grant_type: 'authorization_code',
      code: code ?? '',
      code_verifier: verifier,
      redirect_uri: CALLBACK,
      resource: `${workspace.url}/mcp`,
      ...change,
    },
    prove,
  );

async function connect(how: Answering = bearer) {
  const { url, verifier } = begin();
  const back = await authorize(url, owner, how);
  const code = back.searchParams.get('code');
  const { body } = await redeem(code, verifier);
  return { code, verifier, body };
}

const callTools = (accessToken: unknown) =>
  fetch(`${workspace.url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${accessToken}`,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    }),
  });

/** @proves consent.flow, rfc9207.iss */
test('a person consents, and the client gets a token of the agent for that person, narrowed to what was kept', async () => {
  const { url, verifier } = begin();
  const back = await authorize(url, owner, {
    ...bearer,
    answer: { tools: ['shop/get_order', 'shop/list_orders'], ttlSeconds: 600, intent: 'look at orders' },
  });
  assert.equal(back.origin + back.pathname, CALLBACK);
  assert.equal(back.searchParams.get('state'), 'xyz');
  assert.equal(back.searchParams.get('iss'), workspace.url);
  const { status, body } = await redeem(back.searchParams.get('code'), verifier);
  assert.equal(status, 200, JSON.stringify(body));
  const claims = decodeJwt(String(body.access_token)) as Record<string, never> & { act: { sub: string } };
  assert.equal(claims.sub, 'person:owner@example.test');
  assert.match(claims.act.sub, /agent\/agent-bearer$/);
  const [{ task: id }] = body.authorization_details as [{ task: string }];
  const task = await workspace.operator('GET /tasks/:id', { params: { id } });
  assert.equal(task.user, 'owner@example.test');
  assert.deepEqual(task.narrowing, { tools: ['shop/get_order', 'shop/list_orders'] });
  assert.equal(task.intent, 'look at orders');
  assert.ok(task.expiresAt - task.startedAt <= 600_000);
  assert.equal((await callTools(body.access_token)).status, 200);
  const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.grant' } });
  assert.match(JSON.stringify(items), /look at orders/);
});

test('a person says no, and the client hears access_denied and gets nothing', async () => {
  const back = await authorize(begin().url, owner, { deny: true });
  assert.equal(back.searchParams.get('error'), 'access_denied');
  assert.equal(back.searchParams.get('code'), null);
  const { items } = await workspace.operator('GET /records', { query: { operation: 'consent.deny' } });
  assert.ok(items.length > 0);
});

/** @proves rfc6749.code-once */
test('a code is good once; coming twice it ends what was issued for it', async () => {
  const { code, verifier, body } = await connect();
  assert.equal((await callTools(body.access_token)).status, 200);
  const again = await redeem(code, verifier);
  assert.equal(again.body.error, 'invalid_grant');
  assert.equal((await callTools(body.access_token)).status, 401);
  assert.equal((await token({ grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })).status, 400);
});

/** @proves rfc9700.refresh-rotation */
test('a refresh token is rotated; an old one coming again ends the family and its task', async () => {
  const { body } = await connect();
  const refresh = (value: unknown) => token({ grant_type: 'refresh_token', refresh_token: String(value) });
  const second = await refresh(body.refresh_token);
  assert.equal(second.status, 200, JSON.stringify(second.body));
  assert.notEqual(second.body.refresh_token, body.refresh_token);
  assert.deepEqual(second.body.authorization_details, body.authorization_details, 'the same task goes on');
  const reused = await refresh(body.refresh_token);
  assert.equal(reused.body.error, 'invalid_grant');
  assert.equal((await refresh(second.body.refresh_token)).body.error, 'invalid_grant');
  assert.equal((await callTools(second.body.access_token)).status, 401);
});

/** @proves rfc9700.refresh-bound */
test('a refresh token that is bound to a key is refused with another or none, which is recorded; for its own key it stays good', async () => {
  const [own, stranger] = [await createProver(), await createProver()];
  const { url, verifier } = begin();
  const code = (await authorize(url, owner, bearer)).searchParams.get('code');
  const { body } = await redeem(code, verifier, {}, own);
  assert.equal(body.token_type, 'DPoP', JSON.stringify(body));
  const refresh = (prove?: Prover) =>
    token({ grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }, prove);
  for (const prove of [stranger, undefined, stranger]) {
    const refused = await refresh(prove);
    assert.equal(refused.body.error, 'invalid_grant', JSON.stringify(refused.body));
    assert.equal(refused.body.access_token, undefined);
  }
  const [{ task }] = body.authorization_details as [{ task: string }];
  const { items: all } = await workspace.operator('GET /records', { query: { operation: 'token.refuse' } });
  const items = all.filter(({ record }) => /may be stolen/.test(record.detail ?? ''));
  assert.equal(items.length, 3, 'each once');
  assert.equal(items[0]?.record.agent, 'agent-bearer');
  assert.equal(items[0]?.record.task, task);
  assert.doesNotMatch(JSON.stringify(items), new RegExp(String(body.refresh_token)));
  const renewed = await refresh(own);
  assert.equal(renewed.status, 200, JSON.stringify(renewed.body));
  assert.deepEqual(renewed.body.authorization_details, body.authorization_details);
});

test('a refresh token ends with its task', async () => {
  const { body } = await connect();
  const [{ task: id }] = body.authorization_details as [{ task: string }];
  await workspace.operator('POST /tasks/:id/end', { params: { id } });
  const answer = await token({ grant_type: 'refresh_token', refresh_token: String(body.refresh_token) });
  assert.equal(answer.body.error, 'invalid_grant');
});

/** @proves consent.browser */
test('only the browser in which the request was begun can answer it', async () => {
  const attacker = openBrowser();
  const begun = await attacker.get(begin().url.href);
  const id = /browser-[\w-]+/.exec(begun.headers.get('location') ?? '')?.[0] ?? '';
  await assert.rejects(owner.api('GET /consents/:id', { params: { id } }), /other-browser/);
  await assert.rejects(
    owner.api('POST /consents/:id/approve', {
      params: { id },
      body: {
        agent: 'agent-bearer',
        template: 'all',
        digest: 'x',
        intent: 'x',
        tools: ['shop/get_order'],
        ttlSeconds: 60,
      },
    }),
    /other-browser/,
  );
});
