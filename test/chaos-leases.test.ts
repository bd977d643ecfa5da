import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, type TestContext, test } from 'node:test';
import { githubProvider, postgresProvider } from './chaos/leases/providers.ts';
import { type LeaseChaosOptions, runLeaseChaos } from './chaos/leases/run.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';

/** Law 3 under kill -9, at a sample of moments. `npm run chaos -- leases` does as many as one wants; CHAOS_SEED chooses them again. */
const POINTS = 20;
const MOST_SAMPLES = 3;
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));

describe('credentials, whatever the moment of a kill -9', { concurrency: 2 }, () => {
  let postgres: TestPostgres | undefined;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres?.close());

  /** At moments of which none mattered nothing is shown: then others are taken, of which some do. */
  async function assertLaw(t: TestContext, options: Pick<LeaseChaosOptions, 'database' | 'provider'>): Promise<void> {
    const shown = { given: 0, refused: 0, half: 0 };
    for (let sample = 0; sample < MOST_SAMPLES; sample++) {
      t.diagnostic(`seed ${seed + sample}`);
      const result = await runLeaseChaos({ ...options, points: POINTS, seed: seed + sample });
      t.diagnostic(JSON.stringify(result));
      assert.deepEqual(
        result.violations,
        [],
        `npm run chaos -- leases --points ${POINTS} --seed ${seed + sample} may show it again`,
      );
      assert.equal(result.points, POINTS);
      shown.given += result.given;
      shown.refused += result.refused;
      shown.half += result.halfMade + result.halfEnded;
      if (Object.values(shown).every((count) => count > 0)) return;
    }
    assert.fail(`no moment of ${MOST_SAMPLES * POINTS} that mattered: ${JSON.stringify(shown)}`);
  }

  /** @proves lease.crash */
  test('roles of PostgreSQL, with SQLite: none is left behind, none was given out unrecorded, none that has ended works', async (t) => {
    if (!postgres) return t.skip('PostgreSQL is missing: see above');
    const server = postgres;
    const database = async () => ({ database: 'sqlite', drop: async () => undefined });
    await assertLaw(t, { database, provider: () => postgresProvider(server) });
  });

  /** @proves lease.crash */
  test('tokens of GitHub (a fake), with PostgreSQL: the same, and what nobody can find is counted until its time is over', async (t) => {
    if (!postgres) return t.skip('PostgreSQL is missing: see above');
    const server = postgres;
    const database = async () => {
      const own = await server.createDatabase();
      return { database: own.url, drop: own.drop };
    };
    await assertLaw(t, { database, provider: githubProvider });
  });
});
