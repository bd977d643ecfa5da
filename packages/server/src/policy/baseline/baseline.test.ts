import assert from 'node:assert/strict';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { onEachBackend } from '../../storage/suite.ts';
import { shopWorkspace } from '../testing/workspace.ts';
import { createBaseline } from './baseline.ts';
import { baselineLimits } from './limits.ts';

const DAY_MS = 86_400_000;
const AGENT = 'agent-a';
const workspace = shopWorkspace();
const tool = (name: string, roles: RegisteredTool['labels']['roles'] = {}): RegisteredTool => {
  const found = workspace.tool('post_message');
  return { ...found, ref: `shop/${name}`, name, labels: { ...found.labels, roles } };
};

/** One replica, whose clock is the test's. */
function replica(storage: Storage, clock: { at: number }, needs = { days: 2, calls: 40 }) {
  const registry = {
    snapshot: () =>
      ({
        agents: new Map([[AGENT, { state: 'active', manifest: { environment: 'prod' } }]]),
        environments: new Map([['prod', { baseline: { ...needs, zone: 'UTC', rulesOff: [] } }]]),
      }) as unknown as Snapshot,
  };
  const changes: string[] = [];
  const baseline = createBaseline({
    storage,
    registry,
    recordChange: async (_transaction, ...made) => void changes.push(...made.map(({ operation }) => operation)),
    key: new Uint8Array(32),
    clock: { now: () => clock.at },
    log: { debug() {}, info() {}, warn() {}, error() {} } as never,
  });
  return {
    ...baseline,
    changes,
    async call(of: RegisteredTool, args: Record<string, string | number> = {}, approved = false) {
      for (let loading = baseline.ready(AGENT); loading; loading = baseline.ready(AGENT)) await loading;
      const { deviations, firstUse } = baseline.look(AGENT, { tool: of, arguments: args }, clock.at);
      baseline.dispatched(AGENT, of.ref);
      baseline.ended({ agent: AGENT, tool: of, arguments: args, deviations, approved, succeeded: true, result: {} });
      return { firstUse, kinds: deviations.map(({ kind }) => kind) };
    },
  };
}

/** SQLite has one process alone: there two in one. */
async function twoReplicas(open: () => Promise<Storage>, clock: { at: number }) {
  const one = await open();
  const other = one.dialect === 'sqlite' ? one : await open();
  return [replica(one, clock), replica(other, clock)] as const;
}

/** @proves baseline.replicas */
onEachBackend('replicas add to one baseline, also when they write at once', async ({ open }) => {
  const clock = { at: Date.UTC(2026, 0, 5, 12) };
  const replicas = await twoReplicas(open, clock);
  for (let day = 0; day < 3; day++) {
    for (let at = 0; at < 10; at++)
      for (const [index, each] of replicas.entries()) await each.call(tool(`tool-${index}`));
    await Promise.all(replicas.map((each) => each.write()));
    clock.at += DAY_MS;
  }
  for (const each of replicas) {
    const view = await each.show(AGENT);
    assert.deepEqual([view.state, view.whole?.calls, view.whole?.days, view.whole?.perHour], ['known', 60, 3, 20]);
    assert.deepEqual(
      view.tools.map(({ tool, calls }) => [tool, calls]),
      [
        ['shop/tool-0', 30],
        ['shop/tool-1', 30],
      ],
    );
  }
  // What only the other replica has seen is no first use.
  clock.at -= DAY_MS;
  assert.deepEqual(await replicas[0]?.call(tool('tool-1')), { firstUse: false, kinds: [] });
});

/** @proves baseline.replicas */
onEachBackend('what a replica learned for a baseline that another has begun anew is nobody’s', async ({ open }) => {
  const clock = { at: Date.UTC(2026, 0, 5, 12) };
  const [one, two] = await twoReplicas(open, clock);
  for (let at = 0; at < 5; at++) await one.call(tool('a'));
  await two.reset(AGENT, 'person:a@example.test', 'test');
  await one.write();
  assert.equal((await two.show(AGENT)).whole, null);
  one.refresh([{ sequence: 1, topic: 'baseline', key: AGENT, at: clock.at }]);
  await one.call(tool('a'));
  assert.equal((await one.show(AGENT)).whole?.calls, 1);
});

/** @proves baseline.replicas */
onEachBackend('what could not be written waits, and is written once the database is there', async ({ open }) => {
  const clock = { at: Date.UTC(2026, 0, 5, 12) };
  const storage = await open();
  let isAway = false;
  const failing: Storage = {
    ...storage,
    transaction: (work) => (isAway ? Promise.reject(new Error('away')) : storage.transaction(work)),
  };
  const one = replica(failing, clock);
  isAway = true;
  for (let at = 0; at < 3; at++) await one.call(tool('a'));
  await one.write();
  await one.call(tool('a'));
  isAway = false;
  assert.equal((await one.show(AGENT)).whole?.calls, 4);
  assert.equal((await one.show(AGENT)).whole?.calls, 4);
});

/** @proves baseline.bounded */
onEachBackend('of more tools and resources than are kept nothing is known, and that is said', async ({ open }) => {
  const clock = { at: Date.UTC(2026, 0, 5, 12) };
  const storage = await open();
  const one = replica(storage, clock, { days: 2, calls: 400 });
  const roles = { to: 'recipient' } as const;
  for (let day = 0; day < 2; day++) {
    for (let at = 0; at < 200; at++) await one.call(tool('send', roles), { to: `someone-${at}` });
    clock.at += DAY_MS;
  }
  const [send] = (await one.show(AGENT)).tools;
  assert.deepEqual(
    [
      send?.resources.overflow,
      send?.resources.watched,
      (send?.resources.known ?? 0) <= baselineLimits.resourcesPerTool,
    ],
    [true, false, true],
  );
  assert.deepEqual((await one.call(tool('send', roles), { to: 'somebody else' })).kinds, []);
  const rows = await storage.db.selectFrom('baselines').select('usual').execute();
  assert.ok(rows.every(({ usual }) => usual.length < 16_000));
});

onEachBackend('baselines of agents that are gone are removed', async ({ open }) => {
  const clock = { at: Date.UTC(2026, 0, 5, 12) };
  const storage = await open();
  const one = replica(storage, clock);
  await one.call(tool('a'));
  await one.write();
  const [row] = await storage.db.selectFrom('baselines').selectAll().where('tool', '=', '').execute();
  await storage.db
    .insertInto('baselines')
    .values({ ...(row as NonNullable<typeof row>), agent: 'agent-gone' })
    .execute();
  await one.sweep();
  const left = await storage.db.selectFrom('baselines').select('agent').distinct().execute();
  assert.deepEqual(left, [{ agent: AGENT }]);
});
