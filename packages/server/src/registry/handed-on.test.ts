import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Task } from '@gatehouse/protocol';
import fc from 'fast-check';
import { limits } from '../platform/index.ts';
import type { Registry } from './index.ts';
import { mayHandOn } from './index.ts';
import { agentInput, baseInputs, by, manifests, openWorkspace, type Workspace } from './testing/workspace.ts';

const USER = 'user@example.test';
const names = Array.from({ length: limits.actorChainDepth + 1 }, (_, at) => `agent-${'abcdefghi'[at]}`);
const details: Parameters<Registry['startTask']>[1] = {
  type: 'urn:gatehouse:task',
  template: 'free',
  parameters: {},
  intent: 'test',
};

/** Nine agents of one blueprint with a template without parameters, and a user. */
async function openCrew(): Promise<Workspace> {
  const workspace = await openWorkspace();
  await workspace.registry.apply(
    manifests(
      ...baseInputs(),
      { kind: 'Template', name: 'free', ttlSeconds: 3_000 },
      { kind: 'Template', name: 'short', ttlSeconds: 60 },
      { kind: 'Blueprint', name: 'crew', templates: ['free', 'short'] },
      { kind: 'Person', email: USER, displayName: 'User', roles: ['owner'] },
      ...names.map((name) => ({ ...agentInput, name, blueprint: 'crew' })),
      { ...agentInput, name: 'agent-elsewhere', blueprint: 'crew', environment: 'staging' },
    ),
    { prune: false, by },
  );
  return workspace;
}

async function chainOf(registry: Registry, length: number): Promise<Task[]> {
  const tasks = [await registry.startTask(names[0] as string, details, { user: USER })];
  for (const name of names.slice(1, length))
    tasks.push(await registry.startTask(name, details, { parent: tasks.at(-1)?.id as string }));
  return tasks;
}

/** @proves law-5.depth */
test('a task that is handed on keeps its user and its chain, ends no later, and the chain has at most eight agents', async () => {
  await using workspace = await openCrew();
  const { registry, clock } = workspace;
  const first = await registry.startTask('agent-a', { ...details, template: 'short' }, { user: USER });
  clock.nowMs += 10_000;
  const second = await registry.startTask('agent-b', details, { parent: first.id });
  assert.equal(second.user, USER);
  assert.equal(second.parent, first.id);
  assert.equal(second.expiresAt, first.expiresAt, 'its own template would let it live for longer');
  const third = await registry.startTask('agent-c', details, { parent: second.id, narrowing: { tools: ['shop/*'] } });
  assert.deepEqual(
    third.actors.map(({ sub }) => sub.split('/').at(-1)),
    ['agent-b', 'agent-a'],
  );
  await assert.rejects(registry.startTask('agent-a', details, { parent: third.id }), { code: 'task.chain-cycle' });
  await assert.rejects(registry.startTask('agent-c', details, { parent: third.id }), { code: 'task.chain-cycle' });
  await assert.rejects(registry.startTask('agent-d', details, { parent: third.id, user: 'owner@example.test' }), {
    code: 'task.grounds',
  });
  await assert.rejects(registry.startTask('agent-elsewhere', details, { parent: third.id }), {
    code: 'task.environment',
  });

  const long = await chainOf(registry, limits.actorChainDepth);
  assert.equal(long.at(-1)?.actors.length, limits.actorChainDepth - 1);
  await assert.rejects(registry.startTask(names.at(-1) as string, details, { parent: long.at(-1)?.id as string }), {
    code: 'task.chain-depth',
  });
});

test('what an agent asks for narrows what its task rests on, and never takes its place', async () => {
  await using workspace = await openCrew();
  const { registry } = workspace;
  const narrowing = { tools: ['shop/get_order', 'shop/list_orders'] };
  const narrowed = async (tools: string[]) =>
    (await registry.startTask('agent-a', { ...details, tools }, { user: USER, narrowing })).narrowing?.tools;
  assert.deepEqual(await narrowed(['shop/*', 'files/*']), narrowing.tools);
  assert.deepEqual(await narrowed(['shop/get_order', 'shop/refund_order']), ['shop/get_order']);
  assert.deepEqual(await narrowed(['files/*']), []);
});

test('nobody acts for a person who is not declared, and all that acts for one ends when they leave', async () => {
  await using workspace = await openCrew();
  const { registry } = workspace;
  await assert.rejects(registry.startTask('agent-a', details, { user: 'stranger@example.test' }), {
    code: 'task.user-unknown',
  });
  const chain = await chainOf(registry, 3);
  const own = await registry.startTask('agent-a', details);
  const before = await workspace.fence(`person:${USER}`);
  const everything = await registry.exportManifests();
  await registry.apply(
    everything.filter((each) => each.kind !== 'Person' || each.email !== USER),
    { prune: true, by },
  );
  for (const { id } of chain) assert.equal((await registry.task(id))?.state, 'ended');
  assert.equal((await registry.task(own.id))?.state, 'active');
  assert.ok((await workspace.fence(`person:${USER}`)) > before);
  assert.equal(registry.snapshot().fences.get(`person:${USER}`), await workspace.fence(`person:${USER}`));
});

test('a change of groups raises the fence of those who come and go, and of nobody else', async () => {
  await using workspace = await openCrew();
  const { registry } = workspace;
  const group = (members: string[]) =>
    registry.apply(manifests({ kind: 'Group', name: 'support', members, allow: [{ tools: ['shop/*'] }] }), {
      prune: false,
      by,
    });
  const fences = () => Promise.all([USER, 'owner@example.test'].map((email) => workspace.fence(`person:${email}`)));
  await group([USER, 'owner@example.test']);
  const [user = 0, owner = 0] = await fences();
  await group(['owner@example.test']);
  assert.deepEqual(await fences(), [user + 1, owner]);
  await assert.rejects(group(['nobody@example.test']), /There is no Person "nobody@example.test"/);
});

type Act = { do: 'end' | 'kill' | 'suspend'; at: number };
const act: fc.Arbitrary<Act> = fc.record({
  do: fc.constantFrom('end', 'kill', 'suspend'),
  at: fc.nat({ max: limits.actorChainDepth - 1 }),
});

/** @proves law-5.ancestors */
test('whatever stops a task or an agent of a chain stops all that was handed on from there, and nothing above', async () => {
  await using workspace = await openCrew();
  const { registry } = workspace;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: limits.actorChainDepth }), act, async (length, { do: what, at }) => {
      const index = at % length;
      const chain = await chainOf(registry, length);
      const agent = names[index] as string;
      if (what === 'end') await registry.endTask((chain[index] as Task).id, by);
      if (what === 'kill') {
        const { endedTasks } = await registry.setAgentState(agent, 'suspended', by, { killed: true });
        assert.equal(endedTasks, length - index);
      }
      if (what === 'suspend') await registry.setAgentState(agent, 'suspended', by);
      const states = await Promise.all(chain.map(async ({ id }) => (await registry.task(id))?.state));
      const stopped = what === 'kill' ? 'killed' : 'ended';
      assert.deepEqual(
        states,
        chain.map((_, each) => (what !== 'suspend' && each >= index ? stopped : 'active')),
      );
      const next = names[length] as string;
      if (length < limits.actorChainDepth)
        await assert.rejects(registry.startTask(next, details, { parent: chain.at(-1)?.id as string }));
      if (what !== 'end') await registry.setAgentState(agent, 'active', by);
      for (const { id } of chain) await registry.endTask(id, by);
    }),
    { numRuns: 20 },
  );
});

test('tasks are handed on only to whom agent or blueprint names, in the same environment', async () => {
  await using workspace = await openCrew();
  const { registry } = workspace;
  const may = (from: string, to: string) => {
    const snapshot = registry.snapshot();
    const [a, b] = [from, to].map((name) => snapshot.agents.get(name));
    return Boolean(a && b && mayHandOn(snapshot, a, b));
  };
  const set = (more: object) =>
    registry.apply(manifests({ ...agentInput, name: 'agent-a', blueprint: 'crew', ...more }), { prune: false, by });
  assert.equal(may('agent-a', 'agent-b'), false);
  await set({ delegatesTo: { agents: ['agent-b'] } });
  assert.equal(may('agent-a', 'agent-b'), true);
  assert.equal(may('agent-b', 'agent-a'), false);
  assert.equal(may('agent-a', 'agent-c'), false);
  await set({ delegatesTo: { blueprints: ['crew'] } });
  assert.equal(may('agent-a', 'agent-c'), true);
  assert.equal(may('agent-a', 'agent-a'), false);
  assert.equal(may('agent-a', 'agent-elsewhere'), false);
  await assert.rejects(set({ delegatesTo: { blueprints: ['none'] } }), /There is no Blueprint "none"/);
});
