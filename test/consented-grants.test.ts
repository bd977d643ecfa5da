import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { ConsentView, ManifestInput } from '@gatehouse/protocol';
import { decodeJwt, SignJWT } from 'jose';
import { answerConsent, authorize } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Consent by other ways than the plain redirect: device codes, CIBA, pushed requests; and what is refused on every way. */
let workspace: Workspace;
let owner: SignedInPerson;
const CALLBACK = 'http://127.0.0.1:9/callback';
const app: ManifestInput = {
  kind: 'Client',
  name: 'app',
  displayName: 'App',
  redirectUris: ['http://127.0.0.1/callback'],
};

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply([...manifests(), app, { ...app, name: 'other-app' } as ManifestInput]);
  owner = await workspace.person('owner@example.test');
});
after(() => workspace.close());

type Form = Record<string, string>;
async function post(path: string, form: Form) {
  const response = await fetch(workspace.url + path, { method: 'POST', body: new URLSearchParams(form) });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

async function assertion({ name, key }: { name: string; key: { privateKey: unknown } }): Promise<Form> {
  const jwt = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(name)
    .setSubject(name)
    .setAudience(workspace.url)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(key.privateKey as never);
  return {
    client_id: name,
    client_assertion: jwt,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  };
}

const bearer = { choose: <T extends { agent: string }>(all: T[]) => all.find(({ agent }) => agent === 'agent-bearer') };
const verifier = randomBytes(32).toString('base64url');
const request = (change: Form = {}): Form => ({
  response_type: 'code',
  client_id: 'app',
  redirect_uri: CALLBACK,
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
  resource: `${workspace.url}/mcp`,
  ...change,
});
const addressOf = (form: Form) => `${workspace.url}/oauth/authorize?${new URLSearchParams(form)}`;
const codeFor = async (change: Form = {}) =>
  (await authorize(addressOf(request(change)), owner, bearer)).searchParams.get('code') ?? '';
const redeem = (code: string, change: Form = {}) =>
  post('/oauth/token', {
    grant_type: 'authorization_code',
    client_id: 'app',
    code,
    code_verifier: verifier,
    redirect_uri: CALLBACK,
    ...change,
  });
const details = (intent: string) =>
  JSON.stringify([{ type: 'urn:gatehouse:task', template: 'all', intent, parameters: {} }]);

/** @proves rfc8628.device, rfc8628.slow-down */
test('a device gets its token when the person has typed its code and consented', async () => {
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
  const begun = await post('/oauth/device', { client_id: 'app' });
  assert.equal(begun.body.verification_uri, `${workspace.url}/device`);
  const poll = () => post('/oauth/token', { grant_type, client_id: 'app', device_code: begun.body.device_code ?? '' });
  assert.equal((await poll()).body.error, 'authorization_pending');
  assert.equal((await poll()).body.error, 'slow_down');
  await answerConsent(`device-${begun.body.user_code?.replace('-', '')}`, owner, workspace.url, bearer);
  const { status, body } = await poll();
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(decodeJwt(body.access_token ?? '').sub, 'person:owner@example.test');
  assert.equal((await poll()).body.error, 'invalid_grant');
});

/** @proves ciba.poll */
test('an agent asks a person out of band, who answers with a passkey; nobody else sees the request', async () => {
  const agent = await workspace.agent('agent-bearer', { bearerOnly: true });
  const proof = () => assertion({ name: 'agent-bearer', key: agent.key as never });
  const begun = await post('/oauth/backchannel', {
    ...(await proof()),
    scope: 'openid',
    login_hint: 'owner@example.test',
    binding_message: 'Refund 1042',
    authorization_details: details('refund order 1042'),
  });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  const poll = async () =>
    post('/oauth/token', {
      ...(await proof()),
      grant_type: 'urn:openid:params:grant-type:ciba',
      auth_req_id: begun.body.auth_req_id ?? '',
    });
  assert.equal((await poll()).body.error, 'authorization_pending');
  assert.equal((await poll()).body.error, 'slow_down');
  const { items } = await owner.api('GET /consents');
  const id = items[0]?.id ?? '';
  assert.equal(items[0]?.bindingMessage, 'Refund 1042');
  const stranger = await workspace.person('approver@example.test');
  assert.equal((await stranger.api('GET /consents')).items.length, 0);
  await assert.rejects(stranger.api('GET /consents/:id', { params: { id } }), /404/);
  // Nobody has opened this in their browser: a session alone says yes to nothing, nor does a passkey that has signed something else.
  const [without, other] = [
    () => undefined,
    (options: object) =>
      owner.passkey.assert({ ...options, challenge: randomBytes(32).toString('base64url') } as never, workspace.url),
  ].map((assert) => ({ cookie: owner.cookie, passkey: { assert } as never }));
  await assert.rejects(answerConsent(id, without as never, workspace.url), { code: 'consent.passkey-needed' });
  await assert.rejects(answerConsent(id, other as never, workspace.url), /^Error: 4\d\d /);
  assert.equal((await owner.api('GET /consents')).items.length, 1);
  await answerConsent(id, owner, workspace.url);
  const { status, body } = await poll();
  assert.equal(status, 200, JSON.stringify(body));
  const claims = decodeJwt(body.access_token ?? '') as { sub: string; act: { sub: string } };
  assert.equal(claims.sub, 'person:owner@example.test');
  assert.match(claims.act.sub, /agent-bearer$/);
});

/** @proves consent.exactly */
test('of two answers at once one counts', async () => {
  const { body } = await post('/oauth/device', { client_id: 'app' });
  const id = `device-${body.user_code?.replace('-', '')}`;
  const answers = await Promise.allSettled([1, 2, 3].map(() => answerConsent(id, owner, workspace.url, bearer)));
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1, JSON.stringify(answers));
});

/** @proves consent.refusals */
test('a code that was asked for with a key is of no use without it', async () => {
  const code = await codeFor({ dpop_jkt: randomBytes(32).toString('base64url') });
  const { status, body } = await redeem(code);
  assert.equal(status, 400);
  assert.match(body.error_description ?? '', /another key than the dpop_jkt/);
});

/** @proves rfc6749.code-once */
test('of a code that comes twice at once no task is left running, whichever is first', async () => {
  for (let round = 0; round < 8; round++) {
    const code = await codeFor();
    const answers = await Promise.all(Array.from({ length: 3 }, () => redeem(code)));
    assert.ok(answers.filter(({ status }) => status === 200).length <= 1);
    const { items } = await workspace.operator('GET /tasks', { query: { agent: 'agent-bearer', state: 'active' } });
    assert.deepEqual(
      items.filter(({ user, intent }) => user === owner.email && intent === 'test').map(({ id }) => id),
      [],
      JSON.stringify(answers),
    );
  }
});

/** @proves rfc9126.par */
test('a pushed request is good once, and its authorization details fill the page in', async () => {
  const pushed = await post('/oauth/par', request({ authorization_details: details('from the push') }));
  assert.equal(pushed.status, 201, JSON.stringify(pushed.body));
  const address = addressOf({ client_id: 'app', request_uri: pushed.body.request_uri ?? '' });
  let intent: string | undefined;
  const back = await authorize(address, owner, {
    ...bearer,
    onView: ({ wish }) => {
      intent = wish?.intent;
    },
  });
  assert.equal(intent, 'from the push');
  assert.equal((await redeem(back.searchParams.get('code') ?? '')).status, 200);
});

/** @proves rfc9396.narrower */
test('a client that asks for some tools is granted none but those, and the page offers no others', async () => {
  const only = (tools: string[]) =>
    JSON.stringify([{ type: 'urn:gatehouse:task', template: 'all', intent: 'look', parameters: {}, tools }]);
  const offered = new Set<string>();
  const look = (view: ConsentView) => {
    for (const { tools } of view.choices) for (const { ref } of tools) offered.add(ref);
  };
  const wish = { authorization_details: only(['shop#resources', 'nowhere/at_all']) };
  const back = await authorize(addressOf(request(wish)), owner, { ...bearer, onView: look });
  assert.deepEqual([...offered], ['shop#resources']);
  const code = back.searchParams.get('code') ?? '';
  // The token request may repeat what was asked for, and cannot name less and get more.
  const { status, body } = await redeem(code, wish);
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual((body.authorization_details as unknown as { tools: string[] }[])[0]?.tools, ['shop#resources']);
  const wider = await authorize(addressOf(request(wish)), owner, {
    ...bearer,
    answer: { tools: ['shop#prompts'] },
  }).then(
    () => undefined,
    (error: Error & { code: string }) => error.code,
  );
  assert.equal(wider, 'consent.wider');
  const everything = await authorize(addressOf(request({ authorization_details: details('look') })), owner, bearer);
  const less = await redeem(everything.searchParams.get('code') ?? '', {
    authorization_details: only(['shop#resources']),
  });
  assert.equal(less.body.error, 'invalid_authorization_details', JSON.stringify(less.body));
  let obstacle: string | null = null;
  const nothing = { authorization_details: only(['nowhere/at_all']) };
  await assert.rejects(
    authorize(addressOf(request(nothing)), owner, {
      onView: (view) => {
        obstacle = view.obstacle;
      },
    }),
  );
  assert.match(String(obstacle), /asks for nowhere\/at_all/);
});

/** @proves consent.exactly */
test('what has changed since it was shown is shown again', async () => {
  await assert.rejects(
    authorize(addressOf(request()), owner, { ...bearer, answer: { digest: `sha256-${'0'.repeat(64)}` } }),
    /consent.changed/,
  );
  await assert.rejects(
    authorize(addressOf(request()), owner, { ...bearer, answer: { tools: ['shop/drop_table'] } }),
    /consent.wider/,
  );
  await assert.rejects(
    authorize(addressOf(request()), owner, { ...bearer, answer: { ttlSeconds: 86_400 } }),
    /consent.wider/,
  );
});

/** @proves consent.exactly */
test('a code is of no use once the person may not drive the agent, or not with this client', async () => {
  const agent = manifests().find((each) => 'name' in each && each.name === 'agent-bearer') as ManifestInput;
  for (const change of [{ owner: 'approver@example.test' }, { clients: ['other-app'] }]) {
    const code = await codeFor();
    await workspace.apply([{ ...agent, ...change } as ManifestInput]);
    const { status, body } = await redeem(code);
    await workspace.apply([agent]);
    assert.equal(status, 400);
    assert.match(String(body.error_description), /may not drive the agent agent-bearer with this client/);
  }
});

/** @proves consent.refusals */
test('codes of other clients, other verifiers, addresses, resources and details are refused', async () => {
  assert.equal((await redeem(await codeFor(), { client_id: 'other-app' })).body.error, 'invalid_grant');
  assert.equal((await redeem(await codeFor(), { code_verifier: 'x'.repeat(43) })).body.error, 'invalid_grant');
  assert.equal(
    (await redeem(await codeFor(), { redirect_uri: 'http://127.0.0.1:8/callback' })).body.error,
    'invalid_grant',
  );
  const narrow = await codeFor({ resource: `${workspace.url}/mcp/shop` });
  assert.equal((await redeem(narrow, { resource: `${workspace.url}/mcp` })).body.error, 'invalid_target');
  const wider = { authorization_details: details('something else'), resource: `${workspace.url}/mcp` };
  assert.equal((await redeem(await codeFor(), wider)).body.error, 'invalid_authorization_details');
});

test('an authorization request without S256, with an address that is not registered, or with a parameter twice is refused', async () => {
  const errorOf = async (form: Form, more = '') => {
    const response = await fetch(addressOf(form) + more, { redirect: 'manual' });
    const to = response.headers.get('location');
    if (to) return new URL(to).searchParams.get('error');
    return ((await response.json()) as Form).error;
  };
  assert.equal(await errorOf(request({ code_challenge_method: 'plain' })), 'invalid_request');
  const { code_challenge: _, code_challenge_method: __, ...plain } = request();
  assert.equal(await errorOf(plain), 'invalid_request');
  assert.equal(await errorOf(request({ redirect_uri: 'https://evil.example/' })), 'invalid_redirect_uri');
  assert.equal(await errorOf(request(), '&state=a&state=b'), 'invalid_request');
  assert.equal(await errorOf(request({ resource: 'https://elsewhere.example/mcp' })), 'invalid_target');
});

/** @proves law-6.consents */
test('after a kill no code, refresh token or device code that was in flight mints anything, not even for the agent activated again', async () => {
  const code = await codeFor();
  const refresh = (await redeem(await codeFor())).body.refresh_token ?? '';
  const device = await post('/oauth/device', { client_id: 'app' });
  await answerConsent(`device-${device.body.user_code?.replace('-', '')}`, owner, workspace.url, bearer);
  const params = { name: 'agent-bearer' };
  const mint = async () => {
    const tries = [
      await redeem(code),
      await post('/oauth/token', { grant_type: 'refresh_token', client_id: 'app', refresh_token: refresh }),
      await post('/oauth/token', {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        client_id: 'app',
        device_code: device.body.device_code ?? '',
      }),
    ];
    for (const { status, body } of tries) assert.equal(status, 400, JSON.stringify(body));
  };
  await workspace.operator('POST /agents/:name/kill', { params, body: { reason: 'test' } });
  await mint();
  await workspace.operator('POST /agents/:name/state', { params, body: { state: 'active' } });
  await mint();
});
