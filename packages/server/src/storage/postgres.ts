import { CompiledQuery, Kysely, sql } from 'kysely';
import { GatehouseError, type Log } from '../platform/index.ts';
import type { Backend } from './backend.ts';
import { migrate } from './migrate.ts';
import { createPool, RESTORE_MARK } from './postgres-connection.ts';
import { NO_COUNTERS } from './postgres-counters.ts';
import { postgresDialect } from './postgres-dialect.ts';
import { LOCKS, type Run, type Statement } from './postgres-locks.ts';
import { createPostgresLog } from './postgres-log.ts';
import { CHANNEL, createSignals } from './postgres-signals.ts';
import { decideUnits, holdFences, shareFences } from './postgres-units.ts';
import type { Tables } from './schema/index.ts';
import type { DatabaseTransaction } from './storage.ts';
import { createWriter } from './writer.ts';

/** For everything but the log and the feed, which have connections of their own. */
const CONNECTIONS = 10;
/** A search may take a while; a statement that takes longer is a mistake. */
const STATEMENT_TIMEOUT_MS = 15_000;
const FEED_CONNECTIONS = 2;
const FEED_STATEMENT_TIMEOUT_MS = 2_000;
const FEED_POLL_MS = 250;

/** Shared by any number of replicas, each with its own log. */
export async function openPostgres(url: string, log: Log, restoring = false): Promise<Backend> {
  await migrateOnce(url, log, restoring);
  const connect = (connections: number, statementTimeoutMs: number) =>
    new Kysely<Tables>({ dialect: postgresDialect(createPool(url, connections, { statementTimeoutMs }, log)) });
  const db = connect(CONNECTIONS, STATEMENT_TIMEOUT_MS);
  const feedDb = connect(FEED_CONNECTIONS, FEED_STATEMENT_TIMEOUT_MS);
  const postgresLog = createPostgresLog(url, log);
  const signals = createSignals(url, log);
  const writer = createWriter(postgresLog);

  return {
    dialect: 'postgres',
    db,
    writer,
    claimLog: postgresLog.claim,
    begin: () => db.startTransaction().setIsolationLevel('serializable').execute(),
    async writeWithin(transaction, id, first, unit, bumped) {
      const run = runIn(transaction);
      const share = shareFences([unit]);
      if (share) await run(share);
      // Read beside the transaction, whose snapshot may be older than the lock.
      const versions = new Map([...(await postgresLog.fences(id, [unit])), ...bumped]);
      const { results, inserts } = await decideUnits(run, id, first, [unit], versions, NO_COUNTERS, []);
      for (const insert of inserts) await run(insert);
      const [result] = results;
      if (!result) throw new Error('a unit without a result');
      return result;
    },
    async holdFences(transaction, keys) {
      await runIn(transaction)(holdFences(keys));
    },
    async holdFeed(transaction) {
      // Held until the commit is visible: changes become visible in the order of their sequences, and none is passed over.
      await sql`select pg_advisory_xact_lock(${sql.lit(LOCKS.feed)}, 0), pg_notify(${CHANNEL}, 'changes')`.execute(
        transaction,
      );
    },
    feed: {
      db: feedDb,
      isShared: true,
      pollMs: FEED_POLL_MS,
      async now() {
        const milliseconds = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;
        return (await feedDb.selectNoFrom(milliseconds.as('now')).executeTakeFirstOrThrow()).now;
      },
      async signal(what) {
        await sql`select pg_notify(${CHANNEL}, ${what})`.execute(feedDb);
      },
      listen: signals.listen,
    },
    async close() {
      await writer.close();
      await Promise.all([postgresLog.close(), signals.close(), db.destroy(), feedDb.destroy()]);
    },
  };
}

async function migrateOnce(url: string, log: Log, restoring: boolean): Promise<void> {
  const pool = createPool(url, 1, { statementTimeoutMs: 0 }, log);
  const db = new Kysely<unknown>({ dialect: postgresDialect(pool) });
  try {
    const mark = await sql<{ found: string | null }>`select to_regclass(${RESTORE_MARK})::text as found`.execute(db);
    if (mark.rows[0]?.found && !restoring)
      throw new GatehouseError(
        'conflict',
        'storage.restore-unfinished',
        'A restore into this database has not ended, so it is no workspace yet. Let it end; if it was cut off, drop the database, create it anew and restore again.',
      );
    const migrated = await migrate(db, 'postgres');
    if (migrated.length > 0) log.info('the database was migrated', { migrations: migrated });
  } finally {
    await db.destroy();
  }
}

function runIn(transaction: DatabaseTransaction): Run {
  return async ({ text, values }: Statement) => {
    const { rows } = await transaction.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text, values));
    return rows;
  };
}
