import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type GroupManifest, identityProviderManifest, resourceServerManifest } from '@gatehouse/protocol';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { type AgentClient, createAgentClient, supportTask, type TokenResponse } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { ACCESS_TOKEN, ID_JAG, ID_TOKEN, JWT_BEARER, TOKEN_EXCHANGE } from '../testing/oauth-names.ts';
import { assertCleanLog, assertRefused, type RequestChange } from '../testing/refusals.ts';
import { issueIdJag } from './issue-id-jag.ts';

/** Two houses: one takes a person to the other (draft-ietf-oauth-identity-assertion-authz-grant, both ends). */
const USER = 'user@example.test';
const AGENT = 'agent-mail-prod';
const THERE = 'agent-mail-elsewhere';

let here: House;
let there: House;
let client: AgentClient;
/** The same agent with another DPoP key. */
let rekeyed: AgentClient;
let guest: AgentClient;

const resourceServer = (more: object = {}) =>
  resourceServerManifest.parse({
    kind: 'ResourceServer',
    name: 'elsewhere',
    issuer: there.publicUrl,
    resources: [`${there.resource}/shop`],
    scopes: ['shop/read'],
    clients: { [AGENT]: THERE },
    templates: ['support'],
    groups: ['travellers'],
    ...more,
  });
const group = (members: string[]): GroupManifest => ({ kind: 'Group', name: 'travellers', members, allow: [] });

before(async () => {
  here = await openHouse();
  there = await openHouse();
  for (const house of [here, there]) {
    await house.furnish();
    await house.apply({ kind: 'Person', email: USER, displayName: 'User', roles: ['owner'] });
  }
  const agent = await here.enrol(AGENT);
  client = await createAgentClient(here, agent);
  rekeyed = await createAgentClient(here, agent);
  guest = await createAgentClient(there, await there.enrol(THERE));
  await here.apply(group([USER]), resourceServer());
  await there.apply(
    identityProviderManifest.parse({
      kind: 'IdentityProvider',
      name: 'partner',
      displayName: 'Partner',
      issuer: here.publicUrl,
      clientId: 'elsewhere',
      allowPrivateAddress: true,
      tokenExchange: { audiences: [there.publicUrl] },
      idJag: { agents: [THERE], template: 'short' },
    }),
  );
});
after(async () => {
  await here.close();
  await there.close();
});

async function tokenForUser(grounds: object = {}): Promise<TokenResponse> {
  const task = await here.registry.startTask(
    AGENT,
    { ...supportTask, type: 'urn:gatehouse:task' },
    { user: USER, ...grounds },
  );
  return client.startTask({ type: 'urn:gatehouse:task', task: task.id });
}
const ask = (subject: string, more: Record<string, string | undefined> = {}): RequestChange => ({
  form: {
    grant_type: TOKEN_EXCHANGE,
    subject_token: subject,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ID_JAG,
    audience: there.publicUrl,
    resource: undefined,
    authorization_details: undefined,
    ...more,
  },
});
const present = (assertion: string): RequestChange => ({
  form: { grant_type: JWT_BEARER, assertion, resource: undefined, authorization_details: undefined },
});

/** @proves id-jag.issue */
test('an agent takes its person to another house, which lets its own client in for them, once', async () => {
  const { access_token: token } = await tokenForUser();
  const { status, body } = await client.post(ask(token, { scope: 'shop/read' }));
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual([body.issued_token_type, body.token_type, body.scope], [ID_JAG, 'N_A', 'shop/read']);
  const { payload, protectedHeader } = await jwtVerify(
    String(body.access_token),
    createRemoteJWKSet(new URL(`${here.publicUrl}/oauth/jwks`)),
    { issuer: here.publicUrl, audience: there.publicUrl, typ: 'oauth-id-jag+jwt' },
  );
  assert.equal(protectedHeader.alg, 'ES256');
  assert.equal(payload.client_id, THERE);
  assert.equal(payload.sub, `person:${USER}`);
  assert.equal((payload.act as { sub: string }).sub, `spiffe://example.test/env/prod/agent/${AGENT}`);
  assert.ok(Number(payload.exp) - Number(payload.iat) <= 300);
  assert.match((await here.records('id-jag.issue')).at(-1)?.changes.join() ?? '', /ungated/);
  // Bound to the key of the agent that asked, and so of no use without it.
  await assertRefused(there, guest, present(String(body.access_token)), {
    status: 400,
    error: 'invalid_grant',
    says: /another key/,
  });
});

test('the same key there: a task for that person, narrowed, and no second one', async () => {
  const { access_token: token } = await tokenForUser();
  const { body } = await client.post(ask(token, { scope: 'shop/read' }));
  const proof = await client.proof(`${there.publicUrl}/oauth/token`);
  const change = { ...present(String(body.access_token)), headers: { dpop: proof } };
  const taken = await guest.post(change);
  assert.equal(taken.status, 200, JSON.stringify(taken.body));
  const task = await there.registry.task(taken.body.authorization_details?.[0].task ?? '');
  assert.equal(task?.user, USER);
  assert.deepEqual(task?.narrowing, { tools: ['shop/read'] });
  await assertRefused(
    there,
    guest,
    { ...change, headers: { dpop: await client.proof(`${there.publicUrl}/oauth/token`) } },
    { status: 400, error: 'invalid_grant', says: /used before/ },
  );
});

/** @proves id-jag.issue */
test('an ID-JAG is for whoever has the token, and ends no later than it', async () => {
  const stranger = await createAgentClient(here, await here.enrol('agent-stranger-prod'));
  const { access_token: token } = await tokenForUser();
  await assertRefused(here, stranger, ask(token), { status: 400, error: 'actor_unauthorized', says: /not of/ });
  const late = await tokenForUser({ expiresAt: here.clock.now() + 100_000 });
  const { status, body } = await client.post(ask(late.access_token));
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(Number(decodeJwt(String(body.access_token)).exp) <= Number(decodeJwt(late.access_token).exp));
});

/** @proves law-6.issue */
test('what changes between the look and the ID-JAG is seen where it is recorded, and none is made', async () => {
  const changes: [changed: 'agent' | 'task', change: (task: string) => Promise<unknown>][] = [
    ['task', (task) => here.registry.endTask(task, 'gatehouse')],
    ['agent', () => here.registry.setAgentState(AGENT, 'suspended', 'gatehouse')],
  ];
  for (const [changed, change] of changes) {
    const details = { ...supportTask, type: 'urn:gatehouse:task' as const };
    const task = await here.registry.startTask(AGENT, details, { user: USER });
    const agent = here.registry.snapshot().agents.get(AGENT);
    assert.ok(agent);
    await change(task.id);
    const before = (await here.records('id-jag.issue')).length;
    const issued = await issueIdJag(
      { ...here, keys: here.identity.keys },
      {
        agent,
        task: { ...task, user: USER },
        at: resourceServer(),
        clientId: THERE,
        resources: [],
        scopes: [],
        jkt: undefined,
        expiresAt: Math.floor(task.expiresAt / 1000),
      },
    );
    assert.deepEqual(issued, { ok: false, changed });
    assert.equal((await here.records('id-jag.issue')).length, before);
  }
  await here.registry.setAgentState(AGENT, 'active', 'gatehouse');
  await here.settled();
});

test('no token of one kind passes for another, at either house', async () => {
  const { access_token: token } = await tokenForUser();
  const jag = String((await client.post(ask(token))).body.access_token);
  assert.equal((await client.call(jag).catch(({ status }) => ({ status }))).status, 401);
  for (const subject_token_type of [ACCESS_TOKEN, ID_TOKEN])
    assert.equal((await client.post(ask(jag, { subject_token_type, requested_token_type: undefined }))).status, 400);
  for (const wrong of [token, jag])
    for (const type of [ACCESS_TOKEN, ID_TOKEN]) {
      const { status } = await guest.post({
        form: { grant_type: TOKEN_EXCHANGE, subject_token: wrong, subject_token_type: type, resource: undefined },
      });
      assert.equal(status, 400);
    }
  assert.equal((await guest.post(present(token))).status, 400);
});

/** @proves id-jag.issue */
test('no ID-JAG without a verified person, a registered server, agent, template and group, or of a narrowed, ended or killed task', async () => {
  const own = await client.startTask({ ...supportTask, on_behalf_of: USER });
  const { access_token: token } = await tokenForUser();
  const narrowed = await tokenForUser({ narrowing: { tools: ['shop/*'] } });
  const invalid = { status: 400, error: 'invalid_request' };
  const target = { status: 400, error: 'invalid_target' };
  const denied = { status: 400, error: 'access_denied', says: /does not let/ };
  await assertRefused(here, client, ask(own.access_token), { ...invalid, says: /no person/ });
  await assertRefused(here, client, ask(narrowed.access_token), denied);
  await assertRefused(here, client, ask(token, { audience: 'https://other.example' }), { ...target, says: /audience/ });
  await assertRefused(here, client, ask(token, { audience: undefined }), { ...target, says: /audience/ });
  await assertRefused(here, client, ask(token, { scope: 'all' }), {
    status: 400,
    error: 'invalid_scope',
    says: /no scope/,
  });
  await assertRefused(here, rekeyed, ask(token), { ...invalid, says: /another key/ });
  for (const more of [{ clients: {} }, { templates: ['short'] }]) {
    await here.apply(resourceServer(more));
    await assertRefused(here, client, ask(token), denied);
  }
  await here.apply(resourceServer(), group([]));
  await assertRefused(here, client, ask(token), denied);
  await here.apply(group([USER]));
  await here.registry.setAgentState(AGENT, 'suspended', 'gatehouse', { killed: true });
  await here.settled();
  const before = (await here.records('id-jag.issue')).length;
  assert.ok((await client.post(ask(token))).status >= 400);
  await here.registry.setAgentState(AGENT, 'active', 'gatehouse');
  await here.settled();
  await assertRefused(here, client, ask(token), { ...invalid, says: /subject_token is refused/ });
  assert.equal((await here.records('id-jag.issue')).length, before);
  assertCleanLog(here);
  assertCleanLog(there);
});
