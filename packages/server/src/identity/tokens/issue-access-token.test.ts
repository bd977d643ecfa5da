import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { resourceServerManifest } from '@gatehouse/protocol';
import { issueIdJag } from '../delegation/issue-id-jag.ts';
import { supportTask } from '../testing/agent-client.ts';
import { agentManifest, createKey, type House, openHouse } from '../testing/house.ts';
import { issueAccessToken } from './issue-access-token.ts';

const [PARENT, CHILD] = ['agent-parent-prod', 'agent-child-prod'];
const owner = 'person:owner@example.test';
const USER = 'user@example.test';
let house: House;

before(async () => {
  house = await openHouse();
  await house.furnish();
  await house.apply({ kind: 'Person', email: USER, displayName: 'User', roles: ['owner'] });
  const delegatesTo = { agents: [CHILD], blueprints: [] };
  await house.apply(agentManifest(PARENT, { delegatesTo }), agentManifest(CHILD));
});
after(() => house.close());

/** What a request has found: the agent as the replica knew it, and a task that was handed on to it. */
async function found(user?: string) {
  const details = { ...supportTask, type: 'urn:gatehouse:task' as const };
  const parent = await house.registry.startTask(PARENT, details, user === undefined ? {} : { user });
  const task = await house.registry.startTask(CHILD, details, { parent: parent.id });
  const agent = house.registry.snapshot().agents.get(CHILD);
  assert.ok(agent);
  return { agent, task, parent };
}

/** @proves law-6.issue */
test('what changes between the look and the token is seen where the token is recorded, and none is made', async () => {
  const changes: [
    what: string,
    changed: 'agent' | 'task',
    change: (of: { task: string; parent: string }) => Promise<unknown>,
  ][] = [
    [
      'a new key of the agent',
      'agent',
      async () => house.registry.addAgentKey(CHILD, (await createKey()).publicJwk, owner),
    ],
    ['the end of the task', 'task', ({ task }) => house.registry.endTask(task, owner)],
    ['the end of the task that it was handed on from', 'task', ({ parent }) => house.registry.endTask(parent, owner)],
    ['suspension of who handed it on', 'agent', () => house.registry.setAgentState(PARENT, 'suspended', owner)],
    ['suspension of the agent', 'agent', () => house.registry.setAgentState(CHILD, 'suspended', owner)],
  ];
  for (const [what, changed, change] of changes) {
    const { agent, task, parent } = await found();
    const issue = { agent, task, audience: house.resource, binding: {}, via: 'test' };
    const dependencies = { ...house, keys: house.identity.keys };
    const { ok } = await issueAccessToken(dependencies, issue);
    assert.ok(ok, what);
    const before = (await house.records('token.issue')).length;
    await change({ task: task.id, parent: parent.id });
    assert.deepEqual(await issueAccessToken(dependencies, issue), { ok: false, changed }, what);
    assert.equal((await house.records('token.issue')).length, before, what);
    await house.registry.setAgentState(PARENT, 'active', owner);
    await house.registry.setAgentState(CHILD, 'active', owner);
    await house.settled();
  }
});

/** @proves law-6.issue */
test('a kill, an end or a departure that this replica has not heard of yet is seen by the record, and nothing is made', async () => {
  const at = resourceServerManifest.parse({
    kind: 'ResourceServer',
    name: 'elsewhere',
    issuer: 'https://elsewhere.test',
    resources: [],
    scopes: [],
    clients: { [CHILD]: 'there' },
    templates: ['support'],
    groups: ['travellers'],
  });
  const dependencies = { ...house, keys: house.identity.keys };
  for (const fence of ['agent', 'chain', 'person', 'task'] as const) {
    const { agent, task } = await found(USER);
    const issue = { agent, task, audience: house.resource, binding: {}, via: 'test' };
    const expiresAt = Math.floor(task.expiresAt / 1000);
    const jag = {
      agent,
      task: { ...task, user: USER },
      at,
      clientId: 'there',
      resources: [],
      scopes: [],
      jkt: undefined,
    };
    assert.ok((await issueAccessToken(dependencies, issue)).ok);
    assert.ok((await issueIdJag(dependencies, { ...jag, expiresAt })).ok);
    const records = async () => [await house.records('token.issue'), await house.records('id-jag.issue')].flat().length;
    const before = await records();
    // The fence moves in the database alone, as it does while the news is on its way.
    const keys = {
      agent: `agent:${CHILD}`,
      chain: `agent:${PARENT}`,
      person: `person:${USER}`,
      task: `task:${task.id}`,
    };
    await house.storage.transaction((transaction) => house.storage.bumpFence(transaction, keys[fence]));
    const refused = { ok: false, changed: fence === 'chain' ? 'agent' : fence };
    assert.deepEqual(await issueAccessToken(dependencies, issue), refused, fence);
    assert.deepEqual(await issueIdJag(dependencies, { ...jag, expiresAt }), refused, fence);
    assert.equal(await records(), before, fence);
    // The snapshot learns of it with the next change of the object.
    await house.registry.setAgentState(CHILD, 'suspended', owner);
    await house.registry.setAgentState(CHILD, 'active', owner);
    await house.registry.setAgentState(PARENT, 'suspended', owner);
    await house.registry.setAgentState(PARENT, 'active', owner);
    await house.apply({ kind: 'Person', email: USER, displayName: `User ${fence}`, roles: ['owner'] });
    await house.settled();
  }
});
