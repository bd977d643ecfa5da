import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Log } from '../platform/index.ts';
import { GatehouseError } from '../platform/index.ts';
import type { Backend } from './backend.ts';
import { failureKind, toStorageError, unavailable } from './errors.ts';
import { createFeed, type LocalFeed } from './feed.ts';
import { type HistoryPlace, historyPlace } from './history.ts';
import { openPostgres } from './postgres.ts';
import { openSqlite } from './sqlite.ts';
import type { ChangeTopic, DatabaseTransaction, Storage } from './storage.ts';
import { createTrouble } from './trouble.ts';

export interface StorageOptions {
  /** `sqlite` (in dataDir) or a `postgres://` URL. */
  database: string;
  dataDir: string;
  log: Log;
  clock: Clock;
  /** This is the restore that has not ended. */
  restoring?: boolean;
  /** How long one statement may read, on SQLite (for tests). */
  readLimitMs?: number;
}

/**
 * Opens the database, migrates it to this version, and gives the storage. Errors: `storage.in-use` (another process has the data
 * directory), `storage.newer-schema`, `storage.unavailable`, `storage.restore-unfinished`.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { database, dataDir, log, clock, restoring, readLimitMs } = options;
  if (database !== 'sqlite' && !/^postgres(ql)?:\/\//.test(database)) {
    throw new GatehouseError(
      'bad-request',
      'storage.unknown-database',
      'The database is "sqlite" or a postgres:// URL.',
    );
  }
  const backend =
    database === 'sqlite'
      ? await openSqlite({ dataDir, log, clock }, readLimitMs)
      : await openPostgres(database, log, restoring);
  return createStorage(backend, createFeed(backend.feed, clock, log), historyPlace(database, dataDir), clock, log);
}

/** A transaction's database work ends in this time; everything else that writes waits for it. */
const TRANSACTION_TIMEOUT_MS = 10_000;
const ROLLBACK_TIMEOUT_MS = 1_000;
const ATTEMPTS = 10;
const CHANGES_PER_INSERT = 5_000;
const FENCES_PER_INSERT = 1_000;

/** What a transaction has done so far that takes effect with its commit. */
interface Context {
  announced: { topic: ChangeTopic; key: string; at: number }[];
  bumped: Map<string, number>;
  /** Next free place in the log, once the transaction has written to it. */
  next: number | undefined;
}

function createStorage(backend: Backend, feed: LocalFeed, place: HistoryPlace, clock: Clock, log: Log): Storage {
  const { dialect, db, writer } = backend;
  const contexts = new WeakMap<DatabaseTransaction, Context>();
  const unwritten = createTrouble('records', clock);
  let closing: Promise<void> | undefined;

  function contextOf(transaction: DatabaseTransaction): Context {
    const context = contexts.get(transaction);
    if (context) return context;
    throw new GatehouseError(
      'internal',
      'storage.foreign-transaction',
      'This is no transaction of storage.transaction().',
    );
  }

  async function attempt<T>(work: (transaction: DatabaseTransaction) => Promise<T>): Promise<T> {
    const transaction = await backend.begin();
    const context: Context = { announced: [], bumped: new Map(), next: undefined };
    contexts.set(transaction, context);
    let announced: number | undefined;
    try {
      const result = await withTimeout(work(transaction), TRANSACTION_TIMEOUT_MS);
      if (context.announced.length > 0) {
        // Last, so that the feed, which goes one transaction at a time, is held for the commit only.
        await backend.holdFeed(transaction);
        announced = await insertChanges(transaction, context.announced);
      }
      await transaction.commit().execute();
      if (context.next !== undefined) writer.placed(context.next);
      if (announced !== undefined) feed.changed(announced);
      return result;
    } catch (error) {
      if (context.next !== undefined) writer.placed(undefined);
      const undone = transaction
        .rollback()
        .execute()
        .catch((cause) => log.debug('rollback failed; the connection is given up', { error: cause }));
      // A server that answers nothing must not keep everybody else from writing: it has not been told to commit, and won't be.
      await Promise.race([undone, sleep(ROLLBACK_TIMEOUT_MS, undefined, { ref: false })]);
      throw error;
    } finally {
      contexts.delete(transaction);
    }
  }

  async function bumpFences(transaction: DatabaseTransaction, keys: Iterable<string>): Promise<Map<string, number>> {
    const { bumped } = contextOf(transaction);
    const all = [...new Set(keys)];
    const versions = new Map<string, number>();
    if (all.length > 0) await backend.holdFences(transaction, all);
    for (let from = 0; from < all.length; from += FENCES_PER_INSERT) {
      const rows = await transaction
        .insertInto('fences')
        .values(all.slice(from, from + FENCES_PER_INSERT).map((key) => ({ key, version: 1 })))
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet((update) => ({ version: update('fences.version', '+', 1) })),
        )
        .returning(['key', 'version'])
        .execute();
      for (const { key, version } of rows) {
        versions.set(key, version);
        bumped.set(key, version);
      }
    }
    return versions;
  }

  return {
    dialect,
    place,
    db,
    feed,
    now: () => backend.feed.now(),
    async append(unit, soon) {
      if (closing) throw unavailable(new Error('the storage is closed'));
      try {
        const result = await writer.append(unit, soon);
        unwritten.over();
        return result;
      } catch (error) {
        if (failureKind(error) === 'unavailable') unwritten.failed(error);
        throw error;
      }
    },
    troubles: () => [feed.trouble(), unwritten.view()].filter((each) => each !== undefined),
    async transaction(work) {
      if (closing) throw unavailable(new Error('the storage is closed'));
      const release = await writer.exclusive();
      try {
        for (let failures = 1; ; failures++) {
          try {
            return await attempt(work);
          } catch (error) {
            if (failures === ATTEMPTS || failureKind(error) !== 'retry') throw toStorageError(error);
            await new Promise((resolve) => setTimeout(resolve, Math.random() * 4 * 2 ** failures));
          }
        }
      } finally {
        release();
      }
    },
    async openLog({ id, replica, vkey, now }) {
      await backend.claimLog(id);
      await db
        .insertInto('logs')
        .values({ id, replica, vkey, created_at: now })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute();
      const stored = await db.selectFrom('logs').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
      if (stored.vkey !== vkey || stored.replica !== replica) {
        throw new GatehouseError(
          'conflict',
          'storage.log-differs',
          `The log ${id} belongs to replica ${stored.replica} and the key ${stored.vkey}. A log never changes either; open another.`,
        );
      }
      return { size: await writer.open(id) };
    },
    async appendWithin(transaction, unit) {
      if (unit.spend || unit.settle) throw new Error('budgets are counted by append alone');
      const context = contextOf(transaction);
      const { log: id, next } = await writer.place();
      const first = context.next ?? next;
      context.next = first;
      const result = await backend.writeWithin(transaction, id, first, unit, context.bumped);
      if (result.ok) context.next = first + result.sequences.length;
      return result;
    },
    async announce(transaction, topic, key, now) {
      contextOf(transaction).announced.push({ topic, key, at: now });
    },
    bumpFences,
    async bumpFence(transaction, key) {
      return (await bumpFences(transaction, [key])).get(key) as number;
    },
    close() {
      closing ??= feed.stop().then(() => backend.close());
      return closing;
    },
  };
}

/** In pieces, because a statement takes a limited number of parameters. Gives the last sequence. */
async function insertChanges(transaction: DatabaseTransaction, announced: Context['announced']): Promise<number> {
  let last = 0;
  for (let from = 0; from < announced.length; from += CHANGES_PER_INSERT) {
    const changes = await transaction
      .insertInto('changes')
      .values(announced.slice(from, from + CHANGES_PER_INSERT))
      .returning('sequence')
      .execute();
    for (const { sequence } of changes) last = Math.max(last, sequence);
  }
  return last;
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new GatehouseError(
          'unavailable',
          'storage.transaction-timeout',
          'The change took too long and was undone. Try again.',
        ),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
