import assert from 'node:assert/strict';
import type { CounterSpend, Spend } from './counters.ts';
import type { Storage } from './storage.ts';
import { addApproval, LOG, onEachBackend, onPostgres, placesIn, unitOf, upTo } from './suite.ts';

const DAY = { start: 0, end: 86_400_000 };
const NO_LIMITS = { count: null, items: null, sum: null, concurrent: null };

function counts(actionId: string, fields: Partial<CounterSpend> = {}, now = 1_000): Spend {
  const counter: CounterSpend = {
    counter: 'refunds-17',
    budget: 'refunds',
    label: 'customer 17',
    window: DAY,
    amounts: { count: 1, items: 0, sum: 0 },
    limits: { ...NO_LIMITS, count: 20 },
    evenOver: false,
    leaseUntil: 60_000,
    ...fields,
  };
  return { actionId, now, counters: [counter] };
}

const spend = (storage: Storage, what: Spend) => storage.append(unitOf(1, { spend: what }));
const end = (storage: Storage, actionId: string, giveBack: boolean, counters = ['refunds-17']) =>
  storage.append(unitOf(1, { settle: { actionId, now: 2_000, counters, giveBack: giveBack ? counters : [] } }));
const permitted = (results: { ok: boolean }[]) => results.filter(({ ok }) => ok).length;

/** @proves budget.race */
onEachBackend('of calls that race for a budget exactly as many are written as it has room for', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const results = await Promise.all(upTo(64).map((n) => spend(storage, counts(`act_${n}`))));
  assert.equal(permitted(results), 20);
  const refused = results.find(({ ok }) => !ok);
  assert.deepEqual(refused, {
    ok: false,
    failed: 'budget',
    over: {
      budget: 'refunds',
      counter: 'refunds-17',
      label: 'customer 17',
      limit: 'count',
      used: 20,
      max: 20,
      needs: 1,
      frees: 86_400_000,
    },
  });
  assert.deepEqual(await placesIn(storage), upTo(20), 'what was refused left no record');
});

/** @proves budget.race */
onPostgres('replicas share a budget: together they pass what it has room for', async ({ open }) => {
  const replicas = await Promise.all(upTo(3).map(() => open()));
  for (const [index, storage] of replicas.entries())
    await storage.openLog({ ...LOG, id: `gatehouse.test/log/${index}`, replica: String(index) });
  const results = await Promise.all(
    upTo(90).map((n) => {
      const storage = replicas[n % 3] as Storage;
      // Two counters in either order: whoever took one must not wait for ever for the other.
      const [one] = counts(`act_${n}`).counters as [CounterSpend];
      const both = [one, { ...one, counter: 'all', limits: { ...NO_LIMITS, count: 50 } }];
      return spend(storage, { actionId: `act_${n}`, now: 1_000, counters: n % 2 ? both : both.reverse() });
    }),
  );
  assert.equal(permitted(results), 20);
});

onEachBackend('a sum is kept exactly, and what does not fit leaves room for what does', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const pay = (id: string, sum: number) =>
    spend(storage, counts(id, { amounts: { count: 1, items: 0, sum }, limits: { ...NO_LIMITS, sum: 500_000_000 } }));
  assert.equal((await pay('act_1', 480_000_000)).ok, true);
  const over = await pay('act_2', 40_000_000);
  assert.ok(!over.ok && over.failed === 'budget');
  assert.deepEqual([over.over.used, over.over.needs, over.over.max], [480_000_000, 40_000_000, 500_000_000]);
  assert.equal((await pay('act_3', 20_000_000)).ok, true);
  assert.equal((await pay('act_4', 1)).ok, false);
});

onEachBackend('a call counts on all of its budgets or on none', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const [customer] = counts('').counters as [CounterSpend];
  const agent = { ...customer, counter: 'agent', budget: 'per-agent', limits: { ...NO_LIMITS, count: 1 } };
  const both = (actionId: string) => spend(storage, { actionId, now: 1_000, counters: [customer, agent] });
  assert.equal((await both('act_1')).ok, true);
  for (const n of upTo(30)) assert.equal((await both(`act_again_${n}`)).ok, false);
  const left = await Promise.all(upTo(30).map((n) => spend(storage, counts(`act_left_${n}`))));
  assert.equal(permitted(left), 19, 'the refused calls took nothing of the budget that they fitted');
});

onEachBackend(
  'an approval is not used up by a call that passes a budget, nor a budget by one that has no approval',
  async ({ open }) => {
    const storage = await open();
    await storage.openLog(LOG);
    await addApproval(storage, 'apr_1');
    const approved = (actionId: string, fields: Partial<CounterSpend> = {}) =>
      storage.append(
        unitOf(1, {
          consumeApproval: { id: 'apr_1', actionId, now: 900 },
          spend: counts(actionId, { limits: { ...NO_LIMITS, count: 1 }, ...fields }),
        }),
      );
    const [first, lost, other] = await Promise.all([
      approved('act_1', { limits: { ...NO_LIMITS, count: 0 } }),
      storage.append(
        unitOf(1, {
          consumeApproval: { id: 'apr_none', actionId: 'act_2', now: 900 },
          spend: counts('act_2', { limits: { ...NO_LIMITS, count: 1 } }),
        }),
      ),
      approved('act_3'),
    ]);
    assert.deepEqual([first.ok, !first.ok && first.failed], [false, 'budget']);
    assert.deepEqual(lost, { ok: false, failed: 'approval' });
    assert.equal(other.ok, true);
  },
);

onEachBackend('what a person approved counts beyond the limit', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const one = { limits: { ...NO_LIMITS, count: 1 } };
  assert.equal((await spend(storage, counts('act_1', one))).ok, true);
  assert.equal((await spend(storage, counts('act_2', one))).ok, false);
  assert.equal((await spend(storage, counts('act_3', { ...one, evenOver: true }))).ok, true);
  const over = await spend(storage, counts('act_4', one));
  assert.ok(!over.ok && over.failed === 'budget');
  assert.equal(over.over.used, 2);
});

onEachBackend('what never happened is given back, once; what ended otherwise stays counted', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  for (const n of upTo(20)) await spend(storage, counts(`act_${n}`));
  await end(storage, 'act_0', true);
  await end(storage, 'act_0', true);
  await end(storage, 'act_1', false);
  await end(storage, 'act_1', true);
  await end(storage, 'act_nobody', true);
  assert.equal((await spend(storage, counts('act_again'))).ok, true);
  assert.equal((await spend(storage, counts('act_more'))).ok, false);
});

onEachBackend('a place among those that run is free when the call ends, or its lease', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const running = { window: null, limits: { ...NO_LIMITS, concurrent: 2 } };
  const results = await Promise.all(upTo(10).map((n) => spend(storage, counts(`act_${n}`, running))));
  assert.equal(permitted(results), 2);
  await end(storage, 'act_0', false);
  assert.equal((await spend(storage, counts('act_20', running, 59_999))).ok, true);
  assert.equal((await spend(storage, counts('act_21', running, 59_999))).ok, false);
  assert.equal((await spend(storage, counts('act_22', running, 60_000))).ok, true, 'the leases have run out');
});

onEachBackend('a call and its end in one batch leave nothing behind', async ({ open }) => {
  const storage = await open();
  await storage.openLog(LOG);
  const one = { limits: { ...NO_LIMITS, count: 1 } };
  await Promise.all(upTo(5).flatMap((n) => [spend(storage, counts(`act_${n}`, one)), end(storage, `act_${n}`, true)]));
  const counters = await storage.db.selectFrom('budget_counters').selectAll().execute();
  assert.deepEqual(
    counters.map(({ state }) => JSON.parse(state).buckets),
    [[[0, 0, 0, 0]]],
  );
  assert.deepEqual(await storage.db.selectFrom('budget_spends').selectAll().execute(), []);
});
