import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { githubProvider, postgresProvider } from './chaos/leases/providers.ts';
import { type LeaseChaosResult, runLeaseChaos } from './chaos/leases/run.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';

/** Law 3 under kill -9, at a sample of moments. `npm run chaos -- leases` does as many as one wants; CHAOS_SEED chooses them again. */
const POINTS = 20;
const seed = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));

describe('credentials, whatever the moment of a kill -9', { concurrency: 2 }, () => {
  let postgres: TestPostgres | undefined;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres?.close());

  function assertLaw(result: LeaseChaosResult): void {
    assert.deepEqual(
      result.violations,
      [],
      `npm run chaos -- leases --points ${POINTS} --seed ${seed} may show it again`,
    );
    assert.equal(result.points, POINTS);
    // Else nothing was shown.
    assert.ok(result.given > 0 && result.refused > 0 && result.halfMade + result.halfEnded > 0);
  }

  /** @proves lease.crash */
  test('roles of PostgreSQL, with SQLite: none is left behind, none was given out unrecorded, none that has ended works', async (t) => {
    if (!postgres) return t.skip('PostgreSQL is missing: see above');
    const server = postgres;
    t.diagnostic(`seed ${seed}`);
    const database = async () => ({ database: 'sqlite', drop: async () => undefined });
    const result = await runLeaseChaos({ points: POINTS, seed, database, provider: () => postgresProvider(server) });
    t.diagnostic(JSON.stringify(result));
    assertLaw(result);
  });

  /** @proves lease.crash */
  test('tokens of GitHub (a fake), with PostgreSQL: the same, and what nobody can find is counted until its time is over', async (t) => {
    if (!postgres) return t.skip('PostgreSQL is missing: see above');
    const server = postgres;
    t.diagnostic(`seed ${seed}`);
    const database = async () => {
      const own = await server.createDatabase();
      return { database: own.url, drop: own.drop };
    };
    const result = await runLeaseChaos({ points: POINTS, seed, database, provider: githubProvider });
    t.diagnostic(JSON.stringify(result));
    assertLaw(result);
  });
});
