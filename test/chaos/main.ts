import { parseArgs } from 'node:util';
import { startPostgres } from '../support/postgres.ts';
import { type ChaosResult, runChaos } from './run.ts';

/**
 * npm run chaos -- [--points 500] [--seed N] [--database sqlite|postgres|both] [--json]
 *
 * Law 1 under kill -9: a server under load dies at seeded random moments, starts again on what it left, and what the upstreams
 * saw is compared with what is recorded. Exits with 1 when anything is wrong.
 */
const { values } = parseArgs({
  options: {
    points: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    database: { type: 'string', default: 'both' },
    json: { type: 'boolean', default: false },
  },
});
const [points, seed] = [Number(values.points), Number(values.seed)];
const databases = values.database === 'both' ? ['sqlite', 'postgres'] : [values.database];
if (!Number.isSafeInteger(points) || points < 1 || !Number.isSafeInteger(seed)) {
  console.error('--points and --seed are whole numbers.');
  process.exit(64);
}
if (databases.some((name) => name !== 'sqlite' && name !== 'postgres')) {
  console.error('--database is sqlite, postgres or both.');
  process.exit(64);
}

const results: { database: string; seed: number; result: ChaosResult }[] = [];
console.error(`seed ${seed}`);
for (const database of databases) {
  const postgres = database === 'postgres' ? await startPostgres() : undefined;
  if (database === 'postgres' && !postgres) process.exit(1);
  try {
    const result = await runChaos({
      points,
      seed,
      async database() {
        const own = await postgres?.createDatabase();
        return { database: own?.url ?? 'sqlite', drop: async () => own?.drop() };
      },
      onPoint: (point, moment) =>
        process.stderr.write(`\r${database}: point ${point} of ${points}, ${moment}`.padEnd(80)),
    });
    process.stderr.write('\n');
    results.push({ database: postgres ? `PostgreSQL ${postgres.version}` : 'SQLite', seed, result });
  } finally {
    await postgres?.close();
  }
}

const violations = results.flatMap(({ database, result }) => result.violations.map((text) => `${database}: ${text}`));
if (values.json) console.log(JSON.stringify(results, null, 2));
else {
  console.table(
    Object.fromEntries(
      results.map(({ database, result: { moments, violations: wrong, ...figures } }) => [
        database,
        { seed, ...figures, violations: wrong.length },
      ]),
    ),
  );
  for (const { database, result } of results) console.log(`${database}, died ${JSON.stringify(result.moments)}`);
}
for (const text of violations) console.error(text);
process.exit(violations.length === 0 ? 0 : 1);
