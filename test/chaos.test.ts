import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { type ChaosResult, runChaos } from './chaos/run.ts';
import { startPostgres } from './support/postgres.ts';

/** Law 1 under kill -9, at a sample of moments. `npm run chaos` does as many as one wants; CHAOS_SEED chooses them again. */
const POINTS = 20;
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));

function assertLaw(result: ChaosResult): void {
  assert.deepEqual(result.violations, [], `npm run chaos -- --points ${POINTS} --seed ${seed} may show it again`);
  assert.equal(result.points, POINTS);
  // Else nothing was shown.
  assert.ok(result.seenByUpstreams > 0 && result.unknownAfterRestart > 0 && result.paymentsRun > 0);
}

// @proves law-1.dispatch-before-send, law-1.unknown, law-4.once
test('on SQLite, whatever the moment of a kill -9, each call that an upstream saw is recorded, or shows as unknown', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const result = await runChaos({
    points: POINTS,
    seed,
    database: async () => ({ database: 'sqlite', drop: async () => undefined }),
  });
  t.diagnostic(JSON.stringify(result));
  assertLaw(result);
});

// @proves law-1.dispatch-before-send, law-1.unknown, law-4.once
test('on PostgreSQL, whatever the moment of a kill -9, each call that an upstream saw is recorded, or shows as unknown', async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(() => postgres.close());
  t.diagnostic(`seed ${seed}`);
  const result = await runChaos({
    points: POINTS,
    seed,
    async database() {
      const own = await postgres.createDatabase();
      return { database: own.url, drop: own.drop };
    },
  });
  t.diagnostic(JSON.stringify(result));
  assertLaw(result);
});
