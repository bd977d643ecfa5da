import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Manifest, ManifestInput } from '@gatehouse/protocol';
import { calculateJwkThumbprint } from 'jose';
import { onEachDatabase } from '../packages/server/src/identity/people/testing/databases.ts';
import { type ForeignIssuer, openForeignIssuer } from '../packages/server/src/identity/testing/foreign-issuer.ts';
import { manifests } from './support/fixtures.ts';
import { type Answer, heldCredentials, minted } from './support/held-credentials.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Every way to something that an agent can act with, from the running server's own tables, tried with what somebody on its machine
 * holds: after a suspension, a kill, and its owner's departure with and without a successor. What a person consented to, and nobody
 * has redeemed yet, is in consents-in-flight.test.ts and departure.test.ts.
 */
const consentedTo = new Set([
  'GET /oauth/authorize/:request',
  'POST /oauth/token, authorization_code',
  'POST /oauth/token, refresh_token',
  'POST /oauth/token, device_code',
  'POST /oauth/token, ciba',
  // Not consented to: it takes a provider, which direct-credentials.test.ts has.
  'POST /task/credentials',
]);
const SUCCESSOR = 'owner@example.test';
const cases = ['alone', 'suspended', 'killed', 'left', 'handed-over', 'handed-over-with-keys'] as const;
type Case = (typeof cases)[number];
const agentOf = (of: Case) => `agent-${of}`;
const ownerOf = (of: Case) => `${of}@example.test`;

onEachDatabase('what the holder of an agent’s credentials gets', (database) => {
  let workspace: Workspace;
  let issuer: ForeignIssuer;
  let helper: Awaited<ReturnType<Workspace['agent']>>;

  const of = (name: Case): ManifestInput[] => [
    { kind: 'Person', email: ownerOf(name), displayName: name, roles: ['owner'] },
    {
      kind: 'Agent',
      name: agentOf(name),
      owner: ownerOf(name),
      purpose: 'tests',
      environment: 'production',
      blueprint: 'support',
      delegatesTo: { agents: ['agent-b'] },
    },
    rule(`rule-${name}`, agentOf(name), { agent: agentOf(name) }),
  ];
  const rule = (name: string, sub: string, stands: { agent?: string; workload?: string }): ManifestInput => ({
    kind: 'TrustRule',
    name,
    issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
    claims: { sub },
    ...stands,
  });

  before(async () => {
    workspace = await startWorkspace({ database: await database(), mutualTls: true });
    issuer = await openForeignIssuer(workspace.url);
    await workspace.apply([
      ...manifests(),
      ...cases.flatMap(of),
      {
        kind: 'Workload',
        name: 'starter',
        owner: SUCCESSOR,
        purpose: 'tests',
        environment: 'production',
        starts: cases.map(agentOf),
      },
      rule('starter', 'starter', { workload: 'starter' }),
    ]);
    helper = await workspace.agent('agent-b');
  });
  after(async () => {
    await issuer.close();
    await workspace.close();
  });

  const joinToken = async (name: string) => {
    const { token } = await workspace.operator('POST /agents/:name/join-tokens', { params: { name }, body: {} });
    return token;
  };
  const hold = (name: Case) =>
    heldCredentials({ workspace, agent: agentOf(name), issuer, helper, joinToken: () => joinToken(agentOf(name)) });

  async function outcomes(ways: Record<string, () => Promise<Answer>>): Promise<string[]> {
    const through: string[] = [];
    for (const [name, attempt] of Object.entries(ways)) {
      const answer = await attempt();
      if (minted(answer)) through.push(name);
      else assert.ok(answer.status < 500, `${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return through;
  }
  const offboard = (name: Case, body: object) =>
    workspace.operator('POST /people/:email/offboard', { params: { email: ownerOf(name) }, body });
  const keysOf = async (name: Case) =>
    (await workspace.operator('GET /agents/:name', { params: { name: agentOf(name) } })).manifest.keys.length;

  test('is something, where nothing was stopped, in every way that the tables of the server name', async () => {
    const { ways } = await hold('alone');
    assert.deepEqual(await outcomes(ways), Object.keys(ways));
    const tried = new Set(Object.keys(ways).map((name) => name.split(', ')[0]));
    assert.deepEqual(
      workspace.server.issuancePaths().filter((path) => !tried.has(path) && !consentedTo.has(path)),
      [],
      'a route mints, and nothing here tries it',
    );
    const metadata = (await (await fetch(`${workspace.url}/.well-known/oauth-authorization-server`)).json()) as {
      grant_types_supported: string[];
    };
    const grants = new Set([...Object.keys(ways), ...consentedTo].map((name) => name.split(', ')[1]));
    assert.deepEqual(
      metadata.grant_types_supported.map((grant) => grant.split(':').at(-1)).filter((grant) => !grants.has(grant)),
      [],
      'a grant mints, and nothing here tries it',
    );
  });

  /** @proves law-6.issuance */
  test('is nothing once the agent is suspended', async () => {
    const { ways } = await hold('suspended');
    const params = { name: agentOf('suspended') };
    await workspace.operator('POST /agents/:name/state', { params, body: { state: 'suspended', reason: 'test' } });
    assert.deepEqual(await outcomes(ways), []);
  });

  /** @proves law-6.issuance */
  test('is nothing once it is killed', async () => {
    const { ways } = await hold('killed');
    await workspace.operator('POST /agents/:name/kill', { params: { name: agentOf('killed') }, body: { reason: 't' } });
    assert.deepEqual(await outcomes(ways), []);
  });

  /** @proves law-6.departure, people.hand-over */
  test('is nothing once its owner has left without a successor; nor when somebody activates it again', async () => {
    const { ways } = await hold('left');
    const result = await offboard('left', {});
    assert.deepEqual(
      [result.suspended, result.keepKeys, result.droppedKeys, result.revokedJoinTokens],
      [[agentOf('left')], false, 1, 1],
    );
    assert.deepEqual(await outcomes(ways), []);
    await workspace.operator('POST /agents/:name/state', {
      params: { name: agentOf('left') },
      body: { state: 'active', reason: 'test' },
    });
    assert.deepEqual(await outcomes(ways), standing, 'only what rests on a rule of the workspace');
  });

  /** @proves people.hand-over */
  test('is nothing once a successor has the agent, but for what a rule of the workspace lets in; the successor enrols it again', async () => {
    const { ways, key } = await hold('handed-over');
    // One that the leaver made for an agent of somebody else.
    await workspace.apply([
      { kind: 'Person', email: ownerOf('handed-over'), displayName: 'L', roles: ['admin', 'owner'] },
    ]);
    const leaver = await workspace.person(ownerOf('handed-over'));
    const foreign = await leaver.api('POST /agents/:name/join-tokens', { params: { name: 'agent-a' }, body: {} });
    const result = await offboard('handed-over', { successor: SUCCESSOR });
    assert.deepEqual(
      [result.handedOver, result.keepKeys, result.droppedKeys, result.revokedJoinTokens, result.trustRules],
      [[agentOf('handed-over')], false, 1, 2, ['rule-handed-over']],
    );
    assert.equal(await keysOf('handed-over'), 0);
    const { items: open } = await workspace.operator('GET /agents/:name/join-tokens', { params: { name: 'agent-a' } });
    assert.ok(open.every(({ id }) => id !== foreign.id));
    assert.deepEqual(await outcomes(ways), standing);
    // Without the rule nothing is left.
    const exported = (await workspace.operator('GET /export')).manifests as Manifest[];
    const rest = exported.filter((each) => !(each.kind === 'TrustRule' && each.name === 'rule-handed-over'));
    await workspace.operator('POST /apply', { body: { manifests: rest, prune: true } });
    await workspace.operator('DELETE /agents/:name/keys/:thumbprint', {
      params: { name: agentOf('handed-over'), thumbprint: await onlyKey('handed-over') },
    });
    assert.deepEqual(await outcomes(ways), ['POST /workload/tasks, by workload']);
    // Nor does a repository bring the key back that has not heard of it: it names the leaver and what they held.
    const [, agent] = of('handed-over');
    await workspace.apply([{ ...agent, keys: [key.publicJwk] } as ManifestInput]);
    assert.equal(await keysOf('handed-over'), 0);
    assert.ok(await hold('handed-over'), 'the successor enrols it with a join token of their own');
    const { items } = await workspace.operator('GET /records', { query: { operation: 'agent.hand-over' } });
    assert.match(
      JSON.stringify(items.map(({ record }) => record.changes)),
      /handed-over@example\.test → owner@example\.test","key [\w-]{43} dropped, with all tokens of before"/,
    );
  });

  /** @proves people.hand-over */
  test('is what it was, when the keys were kept on purpose, but for the join token; and the record says so', async () => {
    const { ways } = await hold('handed-over-with-keys');
    const result = await offboard('handed-over-with-keys', { successor: SUCCESSOR, keepKeys: true });
    assert.deepEqual([result.keepKeys, result.droppedKeys, result.revokedJoinTokens], [true, 0, 1]);
    assert.deepEqual(
      await outcomes(ways),
      Object.keys(ways).filter((name) => name !== 'POST /enrol, by join token'),
    );
    const { items } = await workspace.operator('GET /records', { query: { operation: 'person.depart' } });
    assert.match(JSON.stringify(items.map(({ record }) => record.changes)), /keys of their agents kept/);
  });

  const onlyKey = async (name: Case) => {
    const { manifest } = await workspace.operator('GET /agents/:name', { params: { name: agentOf(name) } });
    return calculateJwkThumbprint(manifest.keys[0] as never);
  };
});

/** They are the workspace's, and whoever does the handing over is told. */
const standing = [
  'POST /oauth/token, jwt-bearer, by trust rule',
  'POST /enrol, by trust rule',
  'POST /workload/tasks, by workload',
];
