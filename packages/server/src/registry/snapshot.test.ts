import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Snapshot } from './index.ts';
import { ShardedMap } from './sharded-map.ts';
import {
  agentInput,
  baseInputs,
  by,
  manifests,
  openWorkspace,
  shopInput,
  tool,
  type Workspace,
} from './testing/workspace.ts';

const options = { prune: false, by };
const name = agentInput.name;

async function openApplied(): Promise<Workspace> {
  const workspace = await openWorkspace();
  await workspace.registry.apply(manifests(...baseInputs()), options);
  return workspace;
}

/** Everything in a snapshot, in an order of its own. */
function contents(snapshot: Snapshot): unknown {
  const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...Object.fromEntries(
      Object.entries(snapshot).map(([member, map]) => [member, sorted(map as ReadonlyMap<string, unknown>)]),
    ),
    servers: sorted(snapshot.servers).map(([key, server]) => [key, { ...(server as object) }]),
  };
}

test('a snapshot that somebody holds never changes, and the next one shares all that was not touched', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  await registry.apply(manifests({ ...agentInput, name: 'agent-other' }), options);
  const before = registry.snapshot();
  const copy = structuredClone(contents(before));
  await registry.setAgentState(name, 'suspended', by);
  const after = registry.snapshot();
  assert.notEqual(after, before);
  assert.deepEqual(contents(before), copy);
  assert.equal(after.agents.get('agent-other'), before.agents.get('agent-other'));
  for (const member of ['servers', 'templates', 'policies', 'people', 'environments', 'blueprints'] as const)
    assert.equal(after[member], before[member], member);
  await registry.observeDefinitions('shop', [tool('get_order')], by);
  assert.equal(registry.snapshot().agents.get(name), after.agents.get(name));
  assert.equal(before.servers.get('shop')?.tools.get('get_order')?.state, 'missing');
});

test('a change reads only what it touches', async () => {
  await using workspace = await openApplied();
  const queries: string[] = [];
  const db = new Proxy(workspace.storage.db, {
    get(target, member) {
      if (member === 'selectFrom')
        return (table: string) => {
          queries.push(table);
          return target.selectFrom(table as 'agents');
        };
      const value = Reflect.get(target, member);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const watched = await workspace.another({ storage: { ...workspace.storage, db } });
  queries.length = 0;
  await workspace.registry.setAgentState(name, 'suspended', by);
  await watched.refresh([{ sequence: await workspace.storage.feed.head(), topic: 'agent', key: name, at: 0 }]);
  assert.deepEqual(queries, ['fences', 'changes', 'fences', 'agents', 'fences'], 'no object, tool or person');
});

test('two replicas on one storage that follow the feed show the same, whatever one of them does', async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('apply' as const),
      risk: fc.constantFrom('low', 'high'),
      tier: fc.constantFrom(1, 2, 3),
    }),
    fc.record({ kind: fc.constant('prune' as const) }),
    fc.record({
      kind: fc.constant('state' as const),
      state: fc.constantFrom('suspended', 'active'),
      killed: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('observe' as const), description: fc.constantFrom('a', 'b') }),
    fc.record({ kind: fc.constant('revoke' as const), id: fc.constantFrom('tok_1', 'tok_2') }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      await using workspace = await openApplied();
      const { registry, storage, clock } = workspace;
      const other = await workspace.another();
      await storage.feed.start('b', (changes) => other.refresh(changes));
      for (const each of steps) {
        if (each.kind === 'apply') {
          const tools = { ...shopInput.tools, get_order: { tier: each.tier as 1, effects: ['read' as const] } };
          await registry.apply(
            manifests({ ...agentInput, risk: each.risk as 'low' }, { ...shopInput, tools }),
            options,
          );
        } else if (each.kind === 'prune') {
          const kept = manifests(...baseInputs()).filter(({ kind }) => kind !== 'Policy');
          await registry.apply(kept, { prune: true, by });
        } else if (each.kind === 'state') {
          const state = each.killed ? 'suspended' : (each.state as 'active');
          await registry.setAgentState(name, state, by, { killed: each.killed });
        } else if (each.kind === 'observe') {
          await registry.observeDefinitions('shop', [tool('get_order', each.description)], by);
        } else await registry.revokeToken({ id: each.id, expiresAt: clock.nowMs + 1_000 }, by);
      }
      await storage.feed.waitForAll(await storage.feed.head());
      const fresh = await workspace.another();
      assert.deepEqual(contents(other.snapshot()), contents(registry.snapshot()));
      assert.deepEqual(contents(fresh.snapshot()), contents(registry.snapshot()));
    }),
    { numRuns: 15 },
  );
});

test('what happened between reading the workspace and the start of the feed is caught up', async () => {
  await using workspace = await openApplied();
  const other = await workspace.another();
  await workspace.registry.setAgentState(name, 'suspended', by);
  await other.refresh([]);
  assert.equal(other.snapshot().agents.get(name)?.state, 'suspended');

  const third = await workspace.another();
  await workspace.registry.setAgentState(name, 'active', by);
  await workspace.storage.feed.start('c', (changes) => third.refresh(changes));
  await workspace.registry.apply(manifests({ kind: 'Environment', name: 'new' }), options);
  await workspace.storage.feed.waitForAll(await workspace.storage.feed.head());
  assert.equal(third.snapshot().agents.get(name)?.state, 'active');
});

test('a replica never shows a fence that is newer than what it guards, whichever change it hears of first', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const other = await workspace.another();
  await registry.apply(manifests({ kind: 'Policy', name: 'caps', cedar: 'new' }), options);
  // The other replica changes an agent before the feed has told it of the policy.
  await other.setAgentState(name, 'suspended', by);
  const snapshot = other.snapshot();
  assert.equal(snapshot.agents.get(name)?.state, 'suspended');
  assert.equal(snapshot.fences.get('policy'), await workspace.fence('policy'));
  assert.equal(snapshot.policies.get('caps')?.cedar, 'new');
});

test('refreshes that overlap end with the newest state', async () => {
  await using workspace = await openApplied();
  const other = await workspace.another();
  const refreshes: Promise<void>[] = [];
  for (let round = 0; round < 10; round++) {
    await workspace.registry.setAgentState(name, round % 2 ? 'active' : 'suspended', by);
    refreshes.push(
      other.refresh([{ sequence: await workspace.storage.feed.head(), topic: 'agent', key: name, at: 0 }]),
    );
  }
  await Promise.all(refreshes);
  assert.equal(other.snapshot().agents.get(name)?.epoch, 11);
});

test('the map of many entries behaves like a Map, and its earlier versions stay as they were', () => {
  const key = fc.string({ maxLength: 3 });
  const operation = fc.record({ set: fc.array(fc.tuple(key, fc.integer())), remove: fc.array(key, { maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 10 }), (operations) => {
      let map = ShardedMap.from<number>([]);
      const model = new Map<string, number>();
      for (const { set, remove } of operations) {
        const before = map;
        const copy = [...before];
        map = map.with(set, remove);
        for (const [each, value] of set) model.set(each, value);
        for (const each of remove) model.delete(each);
        assert.deepEqual([...before], copy);
        assert.equal(map.size, model.size);
        assert.deepEqual(new Map(map), model);
        assert.deepEqual(new Set(map.keys()), new Set(model.keys()));
        for (const each of model.keys()) assert.ok(map.has(each) && map.get(each) === model.get(each));
      }
    }),
  );
});

test('a policy that is applied while another change is read is in force at once, not with the next change', async () => {
  await using workspace = await openApplied();
  const { registry, storage } = workspace;
  let between: (() => Promise<unknown>) | undefined;
  const db = storage.db.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      const now = between;
      between = undefined;
      await now?.();
      return result;
    },
  });
  const other = await workspace.another({ storage: { ...storage, db } });
  await registry.setAgentState(name, 'suspended', by);
  const cedar = 'forbid(principal, action, resource) when { true };';
  between = () => registry.apply(manifests({ kind: 'Policy', name: 'caps', cedar }), options);
  await other.refresh([]);
  assert.equal(between, undefined);
  assert.equal(other.snapshot().fences.get('policy'), await workspace.fence('policy'));
  assert.equal(other.snapshot().policies.get('caps')?.cedar, cedar);
});
