import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { judge } from './budgets/judge.ts';
import { runRaces } from './budgets/run.ts';
import { callsOf, scenarios } from './budgets/scenarios.ts';

const seed = Number(process.env.BUDGETS_SEED ?? randomInt(2 ** 31));

/** @proves budget.race, budget.concurrent */
test('no race passes its budget, in one process, on several replicas, or across kill -9; what is permitted is done', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const { rows, postgres } = await runRaces(
    { 'one after the other': 12, '64 at once': 12, '3 replicas': 12, 'kill -9 and restart': 6 },
    seed,
  );
  if (!postgres) t.diagnostic('without PostgreSQL: in one process only');
  const again = `npm run conformance -- --only budgets --runs 100 --seed ${seed} may show it again`;
  assert.deepEqual(
    rows.filter(({ violations }) => violations > 0),
    [],
    again,
  );
  for (const { scenario, mode, done, permitted, alone, races, perReplica } of rows) {
    if (mode !== 'kill -9 and restart')
      assert.ok(done >= 0.95 * permitted, `${scenario}, ${mode}: ${done} of ${permitted}; ${again}`);
    // Else nothing was shown.
    if (mode !== 'one after the other') assert.equal(alone, races, `${scenario}, ${mode}`);
    if (mode === '3 replicas') assert.equal(perReplica, races, scenario);
  }
});

test('the judge finds one call too many, in each scenario', () => {
  for (const scenario of scenarios) {
    const calls = callsOf(scenario, 'account', 64, () => 0.5);
    const made = calls.map((call) => ({ call, at: 0, replica: 'one' }));
    const effects = calls.map((call) => ({ call, from: 0, to: 1 }));
    const fit = scenario.limits.map((limit, at) => Math.floor(limit / (calls[0]?.uses[at] ?? 1)));
    const most = Math.min(...fit);
    const verdict = (count: number) =>
      judge({ scenario, made, effects: effects.slice(0, count), honest: { made: 0, done: 0 } }).isViolated;
    assert.deepEqual([verdict(most), verdict(most + 1)], [false, true], scenario.name);
  }
});
