import { closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Kysely } from 'kysely';
import type { Clock, Log } from '../platform/index.ts';
import type { Backend } from './backend.ts';
import { migrate } from './migrate.ts';
import type { Tables } from './schema/index.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import { keepSqliteThread } from './sqlite-kept-thread.ts';
import type { SqliteThread } from './sqlite-thread.ts';
import { createWriter } from './writer.ts';

/** A statement that reads for longer is given up, with its thread. */
const READ_LIMIT_MS = 60_000;

/** The embedded database: `gatehouse.db` in the data directory, one connection that writes and one that reads. */
export async function openSqlite(
  { dataDir, log, clock }: { dataDir: string; log: Log; clock: Clock },
  readLimitMs = READ_LIMIT_MS,
): Promise<Backend> {
  const file = join(dataDir, 'gatehouse.db');
  makePrivate(dataDir, [file, `${file}.lock`], log);
  const thread = await keepSqliteThread({ file, role: 'writer' }, { log });
  const [reader, checkpoints] = await prepare(thread, file, log, readLimitMs).catch(async (error) => {
    await thread.close();
    throw error;
  });

  const writer = createWriter({
    commit: (id, first, units) => thread.write('units', id, first, units),
    async size(id) {
      const { rows } = await thread.call('query', {
        sql: 'select max(sequence) + 1 as size from records where log = ?',
        parameters: [id],
        within: false,
      });
      return (rows[0]?.size as number | null | undefined) ?? 0;
    },
  });

  const { exclusive } = writer;
  const db = new Kysely<Tables>({ dialect: sqliteDialect({ writer: thread, reader, exclusive }) });
  const held = new Kysely<Tables>({ dialect: sqliteDialect({ writer: thread }) });

  return {
    dialect: 'sqlite',
    db,
    writer,
    async claimLog() {},
    begin: () => held.startTransaction().execute(),
    async writeWithin(_transaction, id, first, unit) {
      const [result] = await thread.write('units-within', id, first, [unit]);
      if (!result) throw new Error('the database thread gave no result');
      return result;
    },
    // One connection writes, so nothing comes between.
    async holdFences() {},
    async holdFeed() {},
    feed: {
      db: new Kysely<Tables>({ dialect: sqliteDialect({ writer: thread, exclusive }) }),
      isShared: false,
      pollMs: 1_000,
      now: async () => clock.now(),
      async signal() {},
      listen() {},
    },
    async close() {
      await writer.close();
      // What fails beside it keeps the lock of the directory with nobody.
      await Promise.allSettled([reader.close(), checkpoints.close()]);
      await thread.close();
    },
  };
}

async function prepare(
  thread: SqliteThread,
  file: string,
  log: Log,
  limitMs: number,
): Promise<[SqliteThread, SqliteThread]> {
  const db = new Kysely<Tables>({ dialect: sqliteDialect({ writer: thread }) });
  const migrated = await migrate(db as unknown as Kysely<unknown>, 'sqlite');
  if (migrated.length > 0) log.info('the database was migrated', { file, migrations: migrated });
  // Whoever registered before is dead: this process alone has the directory.
  await db.deleteFrom('replicas').execute();
  const started = [
    keepSqliteThread({ file, role: 'reader' }, { log, limitMs }),
    keepSqliteThread({ file, role: 'checkpoints' }, { log }),
  ] as const;
  try {
    return await Promise.all(started);
  } catch (error) {
    for (const outcome of await Promise.allSettled(started))
      if (outcome.status === 'fulfilled') await outcome.value.close();
    throw error;
  }
}

/** Secrets, records and bodies lie in here: nobody but this user may read them. SQLite gives its side files the same mode. */
function makePrivate(dataDir: string, files: string[], log: Log): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (statSync(dataDir).mode & 0o077) {
    log.warn(`Other users can look into the data directory. Run: chmod 700 '${dataDir}'`, { dataDir });
  }
  for (const file of files) {
    // Never opened when it is there: closing it would drop the locks that this process holds on it (POSIX).
    if (!existsSync(file)) closeSync(openSync(file, 'wx', 0o600));
  }
}
