import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Manifest, ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport, createSvidSource } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { answerConsent, authorize } from './support/browser-flow.ts';
import { clientAssertion } from './support/client-assertion.ts';
import { manifests } from './support/fixtures.ts';
import { createScimClient } from './support/scim-client.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Whoever leaves, by whichever way, leaves nothing behind that mints: everything that could is made first, and tried afterwards. Their
 * own agent, another's agent that acts for them, and what was in flight.
 */
const CALLBACK = 'http://127.0.0.1:9/callback';
const APP: ManifestInput = {
  kind: 'Client',
  name: 'app',
  displayName: 'App',
  redirectUris: ['http://127.0.0.1/callback'],
};
const leavers = ['offboarded', 'handed-over', 'deactivated', 'deleted', 'undeclared'] as const;
type Leaver = (typeof leavers)[number];
const emailOf = (who: Leaver) => `${who}@example.test`;
const agentOf = (who: Leaver) => `agent-of-${who}`;

const personAndAgent = (who: Leaver): ManifestInput[] => [
  { kind: 'Person', email: emailOf(who), displayName: who, roles: ['owner'] },
  {
    kind: 'Agent',
    name: agentOf(who),
    owner: emailOf(who),
    purpose: 'tests',
    environment: 'production',
    blueprint: 'support',
    bearerOnly: true,
  },
];

onEachDatabase('whoever leaves', (database) => {
  let workspace: Workspace;
  let directory = '';

  before(async () => {
    workspace = await startWorkspace({ database: await database() });
    await workspace.apply([...manifests(), APP, ...leavers.flatMap(personAndAgent)]);
    const { token } = await workspace.operator('POST /scim/tokens', { body: { name: 'directory' } });
    directory = token;
  });
  after(() => workspace.close());

  type Form = Record<string, string>;
  async function post(path: string, form: Form) {
    const response = await fetch(workspace.url + path, { method: 'POST', body: new URLSearchParams(form) });
    return { status: response.status, body: (await response.json()) as Form };
  }

  const scimClient = createScimClient(() => ({ workspace, token: directory }));
  async function scim(method: string, path: string, body?: object): Promise<{ id: string }> {
    const answer = await scimClient(method, path, body);
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  }
  const userOf = (who: Leaver) =>
    scim('POST', '/Users', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
      userName: emailOf(who),
      emails: [{ value: emailOf(who), primary: true }],
    });

  /** Every way to a token that rests on this person or on their agent, each tried once before. */
  async function everythingOf(who: Leaver) {
    const person = await workspace.person(emailOf(who));
    const agent = await workspace.agent(agentOf(who), { bearerOnly: true });
    const task = await agent.startTask({ template: 'all', intent: 'own' });
    const token = await task.token();
    const svids = createSvidSource({ url: workspace.url, agent: agentOf(who), key: agent.key });
    await svids.x509();
    const verifier = randomBytes(32).toString('base64url');
    const own = { choose: <T extends { agent: string }>(all: T[]) => all.find((each) => each.agent === agentOf(who)) };
    const codeFor = async () => {
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'app',
        redirect_uri: CALLBACK,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        resource: `${workspace.url}/mcp`,
      });
      const back = await authorize(`${workspace.url}/oauth/authorize?${query}`, person, own);
      return back.searchParams.get('code') ?? '';
    };
    const redeem = (code: string) =>
      post('/oauth/token', {
        grant_type: 'authorization_code',
        client_id: 'app',
        code,
        code_verifier: verifier,
        redirect_uri: CALLBACK,
      });
    const { body: consented } = await redeem(await codeFor());
    assert.ok(consented.refresh_token, JSON.stringify(consented));
    const code = await codeFor();
    const device = await post('/oauth/device', { client_id: 'app' });
    await answerConsent(`device-${device.body.user_code?.replace('-', '')}`, person, workspace.url, own);
    const unanswered = await post('/oauth/device', { client_id: 'app' });

    const proof = async (): Promise<Form> => ({
      client_id: agentOf(who),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await clientAssertion(agentOf(who), agent.key, workspace.url),
    });
    const asked = await post('/oauth/backchannel', {
      ...(await proof()),
      scope: 'openid',
      login_hint: emailOf(who),
      binding_message: 'Test',
      authorization_details: JSON.stringify([
        { type: 'urn:gatehouse:task', template: 'all', intent: 'x', parameters: {} },
      ]),
    });
    assert.equal(asked.status, 200, JSON.stringify(asked.body));
    const { items } = await person.api('GET /consents');
    await answerConsent(items[0]?.id ?? '', person, workspace.url);

    const helper = await workspace.agent('agent-b');
    const { id: delegation } = await person.api('POST /delegations', { body: { agent: 'agent-b', template: 'all' } });
    const helping = await helper.startTask({ template: 'all', intent: 'help', delegation });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(helping));

    const grant = (grant_type: string, form: Form) => post('/oauth/token', { grant_type, client_id: 'app', ...form });
    const inFlight: Record<string, () => Promise<{ status: number; body: Form }>> = {
      'authorization code': () => redeem(code),
      'refresh token': () => grant('refresh_token', { refresh_token: consented.refresh_token ?? '' }),
      'device code': () =>
        grant('urn:ietf:params:oauth:grant-type:device_code', { device_code: device.body.device_code ?? '' }),
      CIBA: async () =>
        post('/oauth/token', {
          ...(await proof()),
          grant_type: 'urn:openid:params:grant-type:ciba',
          auth_req_id: asked.body.auth_req_id ?? '',
        }),
    };
    return { person, agent, task, token, svids, inFlight, delegation, helper, helping, client, unanswered };
  }
  type Everything = Awaited<ReturnType<typeof everythingOf>>;

  async function nothingMints(who: Leaver, left: Everything, keeps: { agent: boolean }): Promise<void> {
    const { person, agent, task, token, svids, inFlight, delegation, helper, helping, client } = left;
    for (const [name, mint] of Object.entries(inFlight)) {
      const { status, body } = await mint();
      assert.ok(status === 400 || status === 401, `${name}: ${status} ${JSON.stringify(body)}`);
      assert.equal(body.access_token, undefined, name);
    }
    await assert.rejects(helper.startTask({ template: 'all', intent: 'again', delegation }), 'delegation');
    await assert.rejects(helper.resumeTask(helping.id), 'a task that rested on it');
    await assert.rejects(client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } }), 'a call');
    assert.equal((await workspace.operator('GET /tasks/:id', { params: { id: helping.id } })).state, 'ended');
    if (!keeps.agent) {
      const mcp = await fetch(`${workspace.url}/mcp`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
      });
      assert.equal(mcp.status, 401, 'an access token of before');
      await assert.rejects(agent.startTask({ template: 'all', intent: 'again' }), 'client credentials');
      await assert.rejects(agent.resumeTask(task.id), 'a task of its own');
      await assert.rejects(svids.jwt(['a']), 'JWT-SVID');
      await assert.rejects(helper.takeOver(token, { template: 'all', intent: 'y' }), 'token exchange');
    }
    // A session, a passkey, a link: none opens anything.
    await assert.rejects(
      person.api('GET /session').then(({ person: who }) => who ?? Promise.reject(new Error('nobody'))),
    );
    await assert.rejects(person.api('GET /agents'), { status: 401 });
    const { options } = await person.api('POST /signin/passkey/options');
    await assert.rejects(
      person.api('POST /signin/passkey', {
        body: { assertion: person.passkey.assert(options as never, workspace.url) },
      }),
      ({ status }: { status: number }) => status === 401 || status === 404,
    );
    await assert.rejects(workspace.server.createSignInLink(emailOf(who)));
    svids.close();
    await client.close().catch(() => undefined);
  }

  async function nothingIsLeft(who: Leaver, { delegation }: Everything): Promise<void> {
    const { items } = await workspace.operator('GET /delegations', { query: { user: emailOf(who) } });
    assert.deepEqual(
      items.map(({ id, state }) => [id, state]),
      [[delegation, 'revoked']],
    );
    const { items: records } = await workspace.operator('GET /records', { query: { operation: 'delegation.revoke' } });
    assert.ok(records.some(({ record }) => JSON.stringify(record.changes).includes(delegation)));
    const { items: sessions } = await workspace.operator('GET /sessions/everyone');
    assert.ok(sessions.every((session) => session.person !== emailOf(who)));
  }

  const stateOf = async (who: Leaver) => {
    const { state, manifest } = await workspace.operator('GET /agents/:name', { params: { name: agentOf(who) } });
    return [state, manifest.owner];
  };

  /** @proves law-6.departure, people.leaves-nothing */
  test('by offboarding: their agent is suspended', async () => {
    const all = await everythingOf('offboarded');
    const result = await workspace.operator('POST /people/:email/offboard', {
      params: { email: emailOf('offboarded') },
    });
    assert.deepEqual(
      [result.endedSessions, result.removedPasskeys, result.revokedDelegations, result.suspended],
      [1, 1, 1, [agentOf('offboarded')]],
    );
    await nothingMints('offboarded', all, { agent: false });
    await nothingIsLeft('offboarded', all);
    assert.deepEqual(await stateOf('offboarded'), ['suspended', emailOf('offboarded')]);
    // Back again: nothing of it comes back.
    await workspace.operator('POST /people/:email/reinstate', { params: { email: emailOf('offboarded') } });
    await assert.rejects(
      all.helper.startTask({ template: 'all', intent: 'again', delegation: all.delegation }),
      /revoked/,
    );
    await assert.rejects(all.person.api('GET /agents'), { status: 401 });
    assert.equal((await stateOf('offboarded'))[0], 'suspended');
  });

  test('by offboarding with a successor and its keys kept: their agent works on for the successor, and for nobody in the name of the leaver', async () => {
    const all = await everythingOf('handed-over');
    await workspace.operator('POST /people/:email/offboard', {
      params: { email: emailOf('handed-over') },
      body: { successor: 'owner@example.test', keepKeys: true },
    });
    await nothingMints('handed-over', all, { agent: true });
    await nothingIsLeft('handed-over', all);
    assert.deepEqual(await stateOf('handed-over'), ['active', 'owner@example.test']);
    await all.agent.startTask({ template: 'all', intent: 'for the successor' });
  });

  test('because the directory deactivates them', async () => {
    const { id } = await userOf('deactivated');
    const all = await everythingOf('deactivated');
    await scim('PATCH', `/Users/${id}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', path: 'active', value: false }],
    });
    await nothingMints('deactivated', all, { agent: false });
    await nothingIsLeft('deactivated', all);
    assert.deepEqual(await stateOf('deactivated'), ['suspended', emailOf('deactivated')]);
  });

  test('because the directory deletes them', async () => {
    const { id } = await userOf('deleted');
    const all = await everythingOf('deleted');
    await scim('DELETE', `/Users/${id}`);
    await nothingMints('deleted', all, { agent: false });
    await nothingIsLeft('deleted', all);
    assert.deepEqual(await stateOf('deleted'), ['suspended', emailOf('deleted')]);
  });

  test('because no manifest names them any more: at once nothing mints, and soon nothing is left', async () => {
    const all = await everythingOf('undeclared');
    const { manifests: exported } = await workspace.operator('GET /export');
    const rest = (exported as Manifest[]).filter(
      (each) =>
        !(each.kind === 'Person' && each.email === emailOf('undeclared')) &&
        !(each.kind === 'Agent' && each.name === agentOf('undeclared')),
    );
    await workspace.operator('POST /apply', { body: { manifests: rest, prune: true } });
    await nothingMints('undeclared', all, { agent: false });
    const isSettled = async () =>
      (await workspace.operator('GET /sessions/everyone')).items.every(
        ({ person }) => person !== emailOf('undeclared'),
      );
    while (!(await isSettled())) await new Promise((resolve) => setTimeout(resolve, 100));
    await nothingIsLeft('undeclared', all);
    assert.equal((await stateOf('undeclared'))[0], 'retired');
    // Named again, they come as somebody new: no session, passkey or delegation of before.
    await workspace.apply(personAndAgent('undeclared').slice(0, 1));
    await assert.rejects(all.person.api('GET /agents'), { status: 401 });
    const person = await workspace.operator('GET /people/:email', { params: { email: emailOf('undeclared') } });
    assert.deepEqual([person.passkeys, person.sessions], [0, 0]);
  });
});
