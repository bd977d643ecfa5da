/**
 * One SQLite connection in a thread of its own. It does what it is told, in the order in which it is told; who may speak when
 * (one transaction at a time) is the main thread's business.
 */
import { statSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { packResults, unpackUnits } from './packed-units.ts';
import type { Reply, Request, SqliteWorkerData, WireError } from './sqlite-thread.ts';
import { createUnitWriter } from './sqlite-units.ts';

/** The WAL is brought into the database from this size on, so often, by a thread that does nothing else: reads would wait for the disk. */
const CHECKPOINT_BYTES = 4 * 1024 * 1024;
const CHECKPOINT_EVERY_MS = 500;
/** Pages after which the writer does it itself, in the middle of a commit: only when that thread can't keep up. */
const CHECKPOINT_PAGES = 8_000;
/** Compiled statements kept; the hot ones number about fifty. */
const STATEMENTS_KEPT = 256;

const { file, role, inode: expected } = workerData as SqliteWorkerData;
const isWriter = role === 'writer';

// Held for the life of the process and released by the kernel however it ends: two processes never share a data directory.
const lock = isWriter ? new DatabaseSync(`${file}.lock`, { timeout: 0 }) : undefined;
lock?.exec('pragma journal_mode = memory; begin exclusive');

// Before it is opened: SQLite would make a file that is not there, and throw away the log of the one that was.
if (expected !== undefined && statSync(file, { throwIfNoEntry: false })?.ino !== expected) throw replaced();
const database = new DatabaseSync(file, { timeout: 2_000, enableForeignKeyConstraints: true, defensive: true });
database.exec('pragma trusted_schema = off; pragma temp_store = memory; pragma cache_size = -32768');
if (isWriter) {
  database.exec('pragma page_size = 8192; pragma journal_mode = wal');
  database.exec(`pragma wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  // What is erased is overwritten in the file as well.
  database.exec('pragma secure_delete = on');
} else {
  database.exec('pragma query_only = on');
  if (role === 'checkpoints') setInterval(checkpoint, CHECKPOINT_EVERY_MS).unref();
}
// fullfsync: on macOS a plain fsync leaves data in the drive's cache.
database.exec('pragma synchronous = full; pragma fullfsync = on; pragma checkpoint_fullfsync = on');

const inode = statSync(file).ino;
/** Of the WAL, which stays as long as a connection is open. */
let walInode: number | undefined;
const writeUnits = createUnitWriter(database);
const statements = new Map<string, StatementSync>();

function statement(sql: string): StatementSync {
  const known = statements.get(sql);
  if (known) {
    // Back to the end of the map, whose start is dropped first.
    statements.delete(sql);
    statements.set(sql, known);
    return known;
  }
  const prepared = database.prepare(sql);
  statements.set(sql, prepared);
  if (statements.size > STATEMENTS_KEPT) {
    for (const oldest of statements.keys()) {
      statements.delete(oldest);
      break;
    }
  }
  return prepared;
}

/** A number is bound as an integer where it is one; SQLite would otherwise see every JavaScript number as a float. */
function toSqlite(value: unknown): SQLInputValue {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return value as SQLInputValue;
}

/**
 * SQLite goes on writing to files that were deleted or replaced; what it then acknowledges would be lost. Asked before a transaction, so that
 * nothing is begun, and after its commit, so that nothing is acknowledged that came in between.
 */
function checkFile(): void {
  const wal = statSync(`${file}-wal`, { throwIfNoEntry: false })?.ino;
  walInode ??= wal;
  if (statSync(file, { throwIfNoEntry: false })?.ino === inode && wal === walInode) return;
  throw replaced();
}

function replaced(): Error {
  const what = `${file} or its -wal was deleted, moved or replaced while it was open; nothing is written, and all is denied.`;
  return Object.assign(new Error(`${what} Put back what was there, or stop this server and restore a backup.`), {
    code: 'ESTALE',
  });
}

/** Beside the writer, which it doesn't hold up; calls would otherwise wait tens of milliseconds for it now and then. */
function checkpoint(): void {
  // The timer may be due in the turn in which it is closed.
  if (!database.isOpen) return;
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
  if (!log || log.size < CHECKPOINT_BYTES) return;
  try {
    statement('pragma wal_checkpoint(passive)').all();
  } catch (error) {
    // A full or failing disk: nothing is lost by checkpointing later, and the writer tells its callers what is wrong.
    if (wireError(error).errcode === undefined) throw error;
  }
}

/** A full disk has SQLite undo the whole transaction by itself; what followed would then be committed statement by statement. */
function checkTransaction(): void {
  if (!database.isTransaction)
    throw Object.assign(new Error('the database has undone the transaction'), { code: 'ESTALE' });
}

function transact<T>(work: () => T): T {
  checkFile();
  database.exec('begin immediate');
  try {
    const result = work();
    database.exec('commit');
    checkFile();
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('rollback');
    throw error;
  }
}

function answer(request: Request): unknown {
  switch (request.kind) {
    case 'query': {
      if (request.within) checkTransaction();
      else if (isWriter) checkFile();
      const prepared = statement(request.sql);
      const parameters = request.parameters.map(toSqlite);
      if (prepared.columns().length > 0) return { rows: prepared.all(...parameters) };
      const { changes, lastInsertRowid } = prepared.run(...parameters);
      return { rows: [], changes: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    }
    case 'begin':
      checkFile();
      return database.exec('begin immediate');
    case 'commit':
      checkTransaction();
      database.exec('commit');
      return checkFile();
    case 'rollback':
      return database.isTransaction ? database.exec('rollback') : undefined;
    case 'units':
      return transact(() => packResults(writeUnits(request.log, request.first, unpackUnits(request.units))));
    case 'units-within': {
      checkTransaction();
      database.exec('savepoint unit');
      try {
        const results = packResults(writeUnits(request.log, request.first, unpackUnits(request.units)));
        database.exec('release unit');
        return results;
      } catch (error) {
        if (database.isTransaction) database.exec('rollback to unit; release unit');
        throw error;
      }
    }
    case 'close':
      database.close();
      lock?.close();
      return undefined;
  }
}

function wireError(error: unknown): WireError {
  const { message, code, errcode } = error as { message: string; code?: string; errcode?: number };
  return { message, code, errcode };
}

parentPort?.on('message', (requests: Request[]) => {
  const replies = requests.map((request): Reply => {
    try {
      return { id: request.id, value: answer(request) };
    } catch (error) {
      return { id: request.id, error: wireError(error) };
    }
  });
  parentPort?.postMessage(replies);
  if (requests.at(-1)?.kind === 'close') parentPort?.close();
});
