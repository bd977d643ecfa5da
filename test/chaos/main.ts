import { parseArgs } from 'node:util';
import { startPostgres } from '../support/postgres.ts';
import { githubProvider, postgresProvider } from './leases/providers.ts';
import { type LeaseChaosResult, runLeaseChaos } from './leases/run.ts';
import { type ChaosResult, runChaos } from './run.ts';

/**
 * npm run chaos -- [leases] [--points 500] [--seed N] [--database sqlite|postgres|both] [--provider postgres|github] [--json]
 *
 * Law 1 under kill -9: a server under load dies at seeded random moments, starts again on what it left, and what the upstreams
 * saw is compared with what is recorded. With `leases`, laws 3 and 6: while credentials are issued, renewed and ended at a provider. Exits with 1 when anything is wrong.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    provider: { type: 'string', default: 'postgres' },
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

const isLeases = positionals[0] === 'leases';
if (positionals.length > (isLeases ? 1 : 0) || !['postgres', 'github'].includes(values.provider)) {
  console.error('There is nothing but `leases`, with --provider postgres or github.');
  process.exit(64);
}

const results: { database: string; seed: number; result: ChaosResult | LeaseChaosResult }[] = [];
console.error(`seed ${seed}`);
for (const database of databases) {
  const needsPostgres = database === 'postgres' || (isLeases && values.provider === 'postgres');
  const postgres = needsPostgres ? await startPostgres() : undefined;
  if (needsPostgres && !postgres) process.exit(1);
  try {
    const common = {
      points,
      seed,
      async database() {
        const own = database === 'postgres' ? await postgres?.createDatabase() : undefined;
        return { database: own?.url ?? 'sqlite', drop: async () => own?.drop() };
      },
      onPoint: (point: number, moment: string) =>
        void process.stderr.write(`\r${database}: point ${point} of ${points}, ${moment}`.padEnd(80)),
    };
    const provider = () => (postgres && values.provider === 'postgres' ? postgresProvider(postgres) : githubProvider());
    const result = isLeases ? await runLeaseChaos({ ...common, provider }) : await runChaos(common);
    process.stderr.write('\n');
    results.push({
      database: database === 'postgres' && postgres ? `PostgreSQL ${postgres.version}` : 'SQLite',
      seed,
      result,
    });
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
