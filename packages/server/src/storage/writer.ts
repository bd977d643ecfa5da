import { GatehouseError } from '../platform/index.ts';
import { CommitInDoubt, failureKind, unavailable } from './errors.ts';
import type { LogUnit, LogUnitResult } from './storage.ts';

/** What a backend does with the writer's batches. */
export interface LogSink {
  /**
   * Writes all units in one transaction and one fsync; places start at `first`. Refused units take none. Throws `CommitInDoubt`
   * (with the results) when the answer to the commit was lost, anything else when nothing was written.
   */
  commit(log: string, first: number, units: LogUnit[]): Promise<LogUnitResult[]>;
  /** Records stored in the log, once no earlier commit of this process can still change that. */
  size(log: string): Promise<number>;
}

/**
 * The group-committing writer: units that wait are written together, and while one commit runs the next batch gathers. A
 * holder of `exclusive()` shuts batches out until it releases; both wait in one queue, first come, first served.
 */
export interface Writer {
  open(log: string): Promise<number>;
  /** `soon`: nobody waits for it, so that it may wait for the commit of one for which somebody does. */
  append(unit: LogUnit, soon?: boolean): Promise<LogUnitResult>;
  exclusive(): Promise<() => void>;
  /** For the holder of `exclusive()`: the log, and the next free place in it. */
  place(): Promise<{ log: string; next: number }>;
  /** Says where the log stands after an exclusive write; `undefined` when only the database knows. */
  placed(next: number | undefined): void;
  close(): Promise<void>;
}

/** A unit that could not be written in this time is refused: a caller must not hang on a database that does. */
const APPEND_TIMEOUT_MS = 5_000;
const EXCLUSIVE_TIMEOUT_MS = 15_000;
/** How late a refusal may come after that. */
const WATCH_EVERY_MS = 250;
/** What may be written soon is written after this time at the latest: it saves a commit of its own, and the wait of others behind that. */
const SOON_MS = 10;
/** Keeps one transaction short, so that nobody waits long behind it. */
const UNITS_PER_BATCH = 1_024;
/** Bounds memory when the database is slower than the callers. */
const WAITING_LIMIT = 50_000;

interface Waiting {
  unit: LogUnit | null;
  soon: boolean;
  settled: boolean;
  /** When it is given up (`performance.now`). */
  until: number;
  resolve(result: never): void;
  reject(error: unknown): void;
}
interface WaitingUnit extends Waiting {
  unit: LogUnit;
  resolve(result: LogUnitResult): void;
}
interface WaitingTurn extends Waiting {
  unit: null;
  resolve(release: () => void): void;
}

export function createWriter(sink: LogSink): Writer {
  let queue: (WaitingUnit | WaitingTurn)[] = [];
  const unsettled = new Set<WaitingUnit | WaitingTurn>();
  let watch: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let soon: NodeJS.Timeout | undefined;
  let closed = false;
  let log: string | undefined;
  let next: number | undefined;

  function wait<T extends WaitingUnit | WaitingTurn>(
    unit: T['unit'],
    timeoutMs: number,
    isSoon = false,
  ): Promise<Parameters<T['resolve']>[0]> {
    if (closed) return Promise.reject(unavailable(new Error('the storage is closed')));
    if (queue.length >= WAITING_LIMIT) return Promise.reject(unavailable(new Error(`${queue.length} writes wait`)));
    return new Promise((resolve, reject) => {
      const until = performance.now() + timeoutMs;
      const waiting = { unit, soon: isSoon, settled: false, until, resolve, reject } as WaitingUnit | WaitingTurn;
      unsettled.add(waiting);
      watch ??= setInterval(giveUp, WATCH_EVERY_MS);
      queue.push(waiting);
      if (isSoon) soon ??= setTimeout(start, SOON_MS);
      else start();
    });
  }

  /** True for whoever may settle it: that happens once. */
  function settling(waiting: WaitingUnit | WaitingTurn): boolean {
    if (waiting.settled) return false;
    waiting.settled = true;
    unsettled.delete(waiting);
    return true;
  }

  /** One timer for all: most wait for a millisecond. */
  function giveUp(): void {
    const now = performance.now();
    for (const waiting of unsettled)
      if (waiting.until < now && settling(waiting)) waiting.reject(unavailable(new Error('not written in time')));
    if (unsettled.size > 0) return;
    clearInterval(watch);
    watch = undefined;
  }

  function start(): void {
    clearTimeout(soon);
    soon = undefined;
    // In a microtask, so that calls of one turn of the event loop share the first commit.
    running ??= Promise.resolve().then(run);
  }

  async function run(): Promise<void> {
    try {
      for (let head = queue[0]; head; head = queue[0]) {
        // What came meanwhile and may wait does: its timer runs.
        if (soon !== undefined && queue.every((waiting) => waiting.soon)) break;
        if (head.settled) queue.shift();
        else if (head.unit === null) {
          queue.shift();
          settling(head);
          await new Promise<void>((release) => (head as WaitingTurn).resolve(release));
        } else {
          let length = 1;
          while (length < UNITS_PER_BATCH && queue[length]?.unit) length++;
          const batch = queue.slice(0, length) as WaitingUnit[];
          queue = queue.slice(length);
          await write(batch.filter((waiting) => !waiting.settled));
        }
      }
    } finally {
      running = undefined;
    }
  }

  async function write(batch: WaitingUnit[], isRetry = false): Promise<void> {
    if (batch.length === 0) return;
    let first: number | undefined;
    try {
      const at = await place();
      first = at.next;
      const results = await sink.commit(
        at.log,
        first,
        batch.map((waiting) => waiting.unit),
      );
      settle(batch, first, results);
    } catch (error) {
      next = undefined;
      await recover(batch, first, error, isRetry);
    }
  }

  function settle(batch: WaitingUnit[], first: number, results: LogUnitResult[]): void {
    next = first + recordsIn(results);
    results.forEach((result, index) => {
      const waiting = batch[index];
      if (waiting && settling(waiting)) waiting.resolve(result);
    });
  }

  /** After a failed commit nobody trusts the counter: where the log stands is read again before anything else is written. */
  async function recover(
    batch: WaitingUnit[],
    first: number | undefined,
    error: unknown,
    isRetry: boolean,
  ): Promise<void> {
    const rejectAll = (reason: unknown) => {
      for (const waiting of batch) if (settling(waiting)) waiting.reject(reason);
    };
    let standing: number;
    try {
      standing = (await place()).next;
    } catch (cause) {
      return rejectAll(unavailable(new AggregateError([error, cause])));
    }
    if (error instanceof CommitInDoubt && first !== undefined) {
      const results = error.outcome as LogUnitResult[];
      const written = recordsIn(results);
      if (written > 0 && standing === first + written) return settle(batch, first, results);
    }
    if (failureKind(error) !== 'refused') return rejectAll(unavailable(error));
    // Another writer of this log (a transaction whose end was in doubt) took the places: once more, after it.
    if (standing !== first && !isRetry) return write(batch, true);
    if (batch.length > 1) {
      // One unit that the database refuses must not take the others with it.
      for (const waiting of batch) await write([waiting]);
      return;
    }
    rejectAll(
      new GatehouseError('internal', 'storage.refused', 'The database refused the record; nothing was written.', {
        cause: error,
      }),
    );
  }

  async function place(): Promise<{ log: string; next: number }> {
    if (log === undefined)
      throw new GatehouseError('internal', 'storage.no-log', 'Nothing can be recorded before a log is open.');
    next ??= await sink.size(log);
    return { log, next };
  }

  return {
    async open(id) {
      if (log !== undefined && log !== id)
        throw new GatehouseError('internal', 'storage.log-open', `This process writes the log ${log} already.`);
      log = id;
      try {
        return (await place()).next;
      } catch (error) {
        log = undefined;
        throw error;
      }
    },
    append(unit, isSoon) {
      if (log === undefined) return place() as Promise<never>;
      return wait<WaitingUnit>(unit, APPEND_TIMEOUT_MS, isSoon);
    },
    exclusive: () => wait<WaitingTurn>(null, EXCLUSIVE_TIMEOUT_MS),
    place,
    placed(after) {
      next = after;
    },
    async close() {
      closed = true;
      if (queue.length > 0) start();
      while (running) await running;
      clearInterval(watch);
    },
  };
}

function recordsIn(results: LogUnitResult[]): number {
  return results.reduce((sum, result) => sum + (result.ok ? result.sequences.length : 0), 0);
}
