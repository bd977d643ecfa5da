import { Kysely } from 'kysely';
import type { Log } from '../platform/index.ts';
import type { HistoryPlace } from './history.ts';
import { createPool } from './postgres-connection.ts';
import { postgresDialect } from './postgres-dialect.ts';
import type { Tables } from './schema/index.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { startSqliteThread } from './sqlite-thread.ts';
import type { Database } from './storage.ts';

/** A single statement of a report reads the records of a whole period once. */
const STATEMENT_TIMEOUT_MS = 120_000;

/** A connection that only reads, for what looks through whole periods: nothing of the gate waits for it. To be closed. */
export async function openReports(
  place: HistoryPlace,
  log: Log,
): Promise<{ db: Database; close: () => Promise<void> }> {
  if ('sqlite' in place) {
    const thread = await startSqliteThread({ file: place.sqlite, role: 'reports' });
    return { db: new Kysely<Tables>({ dialect: sqliteDialect({ writer: thread }) }), close: thread.close };
  }
  const pool = createPool(place.postgres, 1, { statementTimeoutMs: STATEMENT_TIMEOUT_MS, readOnly: true }, log);
  const db = new Kysely<Tables>({ dialect: postgresDialect(pool) });
  return { db, close: () => db.destroy() };
}
