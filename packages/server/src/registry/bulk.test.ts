import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentInput, baseInputs, by, manifests, openWorkspace, type Workspace } from './testing/workspace.ts';

const names = Array.from({ length: 1_000 }, (_, at) => `agent-bulk-${at}`);
const details = {
  type: 'urn:gatehouse:task' as const,
  template: 'refund-order',
  parameters: { order: 1042, customer: 'customer-z' },
  intent: 'refund order 1042',
};

async function openCrowd(some = names): Promise<Workspace> {
  const workspace = await openWorkspace();
  const agents = some.map((name) => ({ ...agentInput, name }));
  await workspace.registry.apply(manifests(...baseInputs(), ...agents), { prune: false, by });
  return workspace;
}

test('a thousand agents are retired in one act: each recorded, fenced, at a new epoch, with its tasks ended', async () => {
  await using workspace = await openCrowd();
  const { registry } = workspace;
  const tasks = await registry.bulk.startTasks(
    names.slice(0, 300).map((agent) => ({ agent, details })),
    by,
  );
  const before = (await workspace.operations()).length;
  assert.deepEqual((await registry.bulk.setAgentStates(names, 'retired', by)).sort(), [...names].sort());
  const { agents } = registry.snapshot();
  for (const name of names) {
    assert.equal(agents.get(name)?.state, 'retired');
    assert.equal(agents.get(name)?.epoch, 2);
  }
  const recorded = (await workspace.operations()).slice(before);
  assert.equal(recorded.filter((operation) => operation === 'agent.retire').length, names.length);
  const fences = await workspace.fences();
  assert.ok(names.every((name) => fences[`agent:${name}`] === 1));
  assert.ok(tasks.every(({ id }) => fences[`task:${id}`] === 1));
  for (const { id } of tasks) assert.equal((await registry.task(id))?.state, 'ended');
  assert.deepEqual(await registry.bulk.setAgentStates(names, 'retired', by), [], 'once more changes nothing');
});

test('one entry that cannot be done leaves all as they were, and is named', async () => {
  await using workspace = await openCrowd(['agent-a', 'agent-b']);
  const { registry } = workspace;
  await registry.setAgentState('agent-b', 'retired', by);
  const before = await workspace.operations();
  await assert.rejects(registry.bulk.setAgentStates(['agent-a', 'agent-b'], 'active', by), {
    code: 'agents.refused',
    message: /^Nothing was changed\. Entry 1: The agent "agent-b" is retired/,
  });
  await assert.rejects(registry.bulk.setAgentStates(['agent-a', 'agent-nobody'], 'suspended', by), {
    message: /Entry 1: There is no agent "agent-nobody"/,
  });
  const wrong = { ...details, parameters: { order: 'one', customer: 'z' } };
  await assert.rejects(
    registry.bulk.startTasks(
      [
        { agent: 'agent-a', details },
        { agent: 'agent-b', details },
        { agent: 'agent-a', details: wrong },
      ],
      by,
    ),
    { code: 'tasks.refused', message: /Entry 1: .*retired.*Entry 2: .*"order" must be of type integer/s },
  );
  assert.deepEqual(await workspace.operations(), before);
  assert.deepEqual(await registry.listTasks({ limit: 10 }), []);
});

test('an agent that was killed comes back only by an act that says so, and never starts a task meanwhile', async () => {
  await using workspace = await openCrowd(['agent-a', 'agent-b']);
  const { registry } = workspace;
  await registry.setAgentState('agent-a', 'suspended', by, { killed: true });
  await assert.rejects(registry.bulk.startTasks([{ agent: 'agent-a', details }], by), { message: /was killed/ });
  await registry.bulk.setAgentStates(['agent-a'], 'suspended', by);
  assert.ok(registry.snapshot().agents.get('agent-a')?.killedAt, 'suspending again does not undo the kill');
  await registry.setAgentState('agent-b', 'suspended', by, { killed: true });
  await registry.bulk.setAgentStates(['agent-b'], 'retired', by);
  const [kept] = await workspace.storage.db
    .selectFrom('agents')
    .select(['state', 'killed_at'])
    .where('name', '=', 'agent-b')
    .execute();
  assert.equal(kept?.state, 'retired');
  assert.ok(kept?.killed_at, 'nor does retiring: what was killed stays known as killed');
  await registry.bulk.setAgentStates(['agent-a'], 'active', by);
  assert.equal(registry.snapshot().agents.get('agent-a')?.killedAt, null);
  const last = (await workspace.records()).at(-1);
  assert.deepEqual(last?.entry.changes, ['state: suspended → active', 'no longer killed']);
});

test('tasks are recorded as started by who started them; a repeated key starts nothing and is answered the same', async () => {
  await using workspace = await openCrowd(['agent-a', 'agent-b']);
  const { registry } = workspace;
  const requests = ['agent-a', 'agent-b', 'agent-a'].map((agent) => ({ agent, details }));
  const first = await registry.bulk.startTasks(requests, 'person:owner@example.test', 'key-1');
  assert.equal(new Set(first.map(({ id }) => id)).size, 3);
  assert.deepEqual(await registry.bulk.startTasks(requests, 'person:owner@example.test', 'key-1'), first);
  assert.equal((await registry.listTasks({ limit: 10 })).length, 3);
  assert.equal((await workspace.records()).at(-1)?.entry.by, 'person:owner@example.test');
  await assert.rejects(registry.bulk.startTasks(requests.slice(1), 'person:owner@example.test', 'key-1'), {
    code: 'idempotency.differs',
  });
  const another = await registry.bulk.startTasks(requests, 'person:admin@example.test', 'key-1');
  assert.ok(
    another.every(({ id }) => !first.some((task) => task.id === id)),
    'a key is its caller’s own',
  );
  workspace.clock.nowMs += 86_400_000;
  assert.notDeepEqual(await registry.bulk.startTasks(requests, 'person:owner@example.test', 'key-1'), first);
});

test('ending tasks ends those that run, once, and refuses as a whole what names an unknown one', async () => {
  await using workspace = await openCrowd(['agent-a']);
  const { registry } = workspace;
  const tasks = await registry.bulk.startTasks(
    Array.from({ length: 50 }, () => ({ agent: 'agent-a', details })),
    by,
  );
  const ids = tasks.map(({ id }) => id);
  await assert.rejects(registry.bulk.endTasks([...ids, 'tsk_unknown'], by), { code: 'tasks.unknown' });
  assert.equal((await registry.task(ids[0] as string))?.state, 'active');
  assert.deepEqual((await registry.bulk.endTasks(ids, by)).sort(), [...ids].sort());
  assert.deepEqual(await registry.bulk.endTasks(ids, by), []);
  for (const id of ids) assert.equal((await registry.task(id))?.state, 'ended');
});

test('an agent has as many running tasks as one that starts them itself, and no more', async () => {
  await using workspace = await openCrowd(['agent-a']);
  const { registry } = workspace;
  const many = Array.from({ length: 999 }, () => ({ agent: 'agent-a', details }));
  await registry.bulk.startTasks(many, by);
  await assert.rejects(registry.bulk.startTasks(many.slice(0, 2), by), { message: /Entry 1: .*1000 running tasks/ });
  await registry.bulk.startTasks(many.slice(0, 1), by);
});
