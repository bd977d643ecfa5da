import { Worker } from 'node:worker_threads';
import { GatehouseError } from '../platform/index.ts';
import { unavailable } from './errors.ts';
import { type PackedResults, type PackedUnits, packUnits, unpackResults } from './packed-units.ts';
import type { LogUnit, LogUnitResult } from './storage.ts';

export interface SqliteWorkerData {
  file: string;
  /** `reports`: reads like the reader, for as long as it takes, and does nothing else. `checkpoints`: brings the WAL into the database. */
  role: 'writer' | 'reader' | 'reports' | 'checkpoints';
  /** Of the file that it has to be: another one in its place is refused. */
  inode?: number;
}

export interface QueryReply {
  rows: Record<string, unknown>[];
  changes?: bigint;
  insertId?: bigint;
}

interface UnitsBody {
  log: string;
  first: number;
  units: PackedUnits;
}

/** What the thread can be told, and what it answers. */
interface Operations {
  /** `within`: part of the transaction that `begin` has opened. */
  query: [{ sql: string; parameters: readonly unknown[]; within: boolean }, QueryReply];
  begin: [object, undefined];
  commit: [object, undefined];
  /** Ends the transaction if one is still open. */
  rollback: [object, undefined];
  /** One transaction and one fsync. */
  units: [UnitsBody, PackedResults];
  /** Inside the open transaction. */
  'units-within': [UnitsBody, PackedResults];
  close: [object, undefined];
}
type Kind = keyof Operations;
export type Request = { [K in Kind]: { id: number; kind: K } & Operations[K][0] }[Kind];

export interface WireError {
  message: string;
  code: string | undefined;
  errcode: number | undefined;
}
export type Reply = { id: number; value: unknown } | { id: number; error: WireError };

/** A failure inside the thread, with SQLite's extended result code when it was SQLite's. */
class SqliteError extends Error {
  override readonly name = 'SqliteError';
  readonly code: string | undefined;
  readonly errcode: number | undefined;

  constructor(wire: WireError) {
    super(wire.message);
    this.code = wire.code;
    this.errcode = wire.errcode;
  }
}

export interface SqliteThread {
  call<K extends Kind>(kind: K, body: Operations[K][0]): Promise<Operations[K][1]>;
  /** In a transaction of their own, or in the one that is open. */
  write(kind: 'units' | 'units-within', log: string, first: number, units: LogUnit[]): Promise<LogUnitResult[]>;
  close(): Promise<void>;
}

const WATCH_EVERY_MS = 250;

export interface ThreadOptions {
  /** A statement that runs can't be interrupted: after this time its thread is given up, and ends when it is done. Null: never. */
  limitMs?: number | null;
  /** Everybody who waits has been told. `ended`: when the thread is gone. */
  onDeath?(reason: unknown, ended: Promise<void>): void;
}

/** Starts a thread that holds one connection. What is asked of one that has died is refused from then on (`sqlite-kept-thread.ts` starts another). */
export async function startSqliteThread(
  data: SqliteWorkerData,
  { limitMs = null, onDeath }: ThreadOptions = {},
): Promise<SqliteThread> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
  const worker = new Worker(new URL(`./sqlite-worker.${extension}`, import.meta.url), {
    workerData: data,
    name: `sqlite-${data.role}`,
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let outgoing: Request[] = [];
  let lastId = 0;
  let dead: unknown;
  let isReady = false;
  let isClosing = false;
  /** When it began with what it is at now (`performance.now`). */
  let busySince = 0;
  let watch: NodeJS.Timeout | undefined;
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));

  const die = (reason: unknown) => {
    const isFirst = dead === undefined;
    dead ??= reason;
    clearInterval(watch);
    for (const { reject } of waiting.values()) reject(unavailable(dead));
    waiting.clear();
    if (isFirst && isReady && !isClosing) onDeath?.(reason, ended);
  };

  /** Where one statement takes too long all who come after it wait, too. */
  function giveUp(limit: number): void {
    if (waiting.size === 0 || performance.now() - busySince < limit) return;
    die(new Error(`a statement has run for more than ${limit} ms`));
    worker.unref();
    void worker.terminate();
  }
  if (limitMs !== null) watch = setInterval(giveUp, Math.min(WATCH_EVERY_MS, limitMs), limitMs).unref();
  worker.on('error', die);
  worker.on('exit', () => die(new Error('the database thread has ended')));
  worker.on('messageerror', die);
  worker.on('message', (replies: Reply[]) => {
    busySince = performance.now();
    for (const reply of replies) {
      const caller = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ('error' in reply) caller?.reject(new SqliteError(reply.error));
      else caller?.resolve(reply.value);
    }
  });

  const send = () => {
    const requests = outgoing;
    outgoing = [];
    try {
      const memory = requests.flatMap((request) => ('units' in request ? request.units.bytes.buffer : []));
      worker.postMessage(requests, memory);
    } catch (error) {
      // A value that cannot cross to the thread: the callers of this turn are told, the thread is unharmed.
      for (const { id } of requests) {
        waiting.get(id)?.reject(error);
        waiting.delete(id);
      }
    }
  };

  const call: SqliteThread['call'] = (kind, body) => {
    if (dead !== undefined) return Promise.reject(unavailable(dead));
    if (waiting.size === 0) busySince = performance.now();
    const id = ++lastId;
    if (outgoing.push({ id, kind, ...body } as Request) === 1) queueMicrotask(send);
    return new Promise((resolve, reject) => waiting.set(id, { resolve: resolve as (value: unknown) => void, reject }));
  };

  try {
    await call('query', { sql: 'select 1', parameters: [], within: false });
  } catch (error) {
    throw openError(data.file, error);
  }
  isReady = true;
  return {
    call,
    async write(kind, log, first, units) {
      return unpackResults(await call(kind, { log, first, units: packUnits(units) }), first, units);
    },
    async close() {
      if (dead !== undefined) return;
      isClosing = true;
      clearInterval(watch);
      await call('close', {});
      await ended;
    },
  };
}

function openError(file: string, error: unknown): GatehouseError {
  const cause = error instanceof GatehouseError ? error.cause : error;
  const { errcode, message } = cause as { errcode?: number; message: string };
  if (errcode !== undefined && (errcode & 0xff) === 5) {
    return new GatehouseError(
      'conflict',
      'storage.in-use',
      `Another Gatehouse process uses ${file}. Stop it first, or start this one with another data directory.`,
      { cause },
    );
  }
  return new GatehouseError('unavailable', 'storage.unavailable', `The database ${file} cannot be opened: ${message}`, {
    cause,
  });
}
