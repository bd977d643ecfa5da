import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { supportTask } from '../testing/agent-client.ts';
import { agentManifest, createKey, type House, openHouse } from '../testing/house.ts';
import { issueAccessToken } from './issue-access-token.ts';

const [PARENT, CHILD] = ['agent-parent-prod', 'agent-child-prod'];
const owner = 'person:owner@example.test';
let house: House;

before(async () => {
  house = await openHouse();
  await house.furnish();
  const delegatesTo = { agents: [CHILD], blueprints: [] };
  await house.apply(agentManifest(PARENT, { delegatesTo }), agentManifest(CHILD));
});
after(() => house.close());

/** What a request has found: the agent as the replica knew it, and a task that was handed on to it. */
async function found() {
  const details = { ...supportTask, type: 'urn:gatehouse:task' as const };
  const parent = await house.registry.startTask(PARENT, details);
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
