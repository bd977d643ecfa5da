import { Worker } from 'node:worker_threads';
import { GatehouseError, type Log } from '../../platform/index.ts';
import type { HistoryPlace } from '../../storage/index.ts';
import { searchLimits } from './limits.ts';
import type { Answer, Find, Place, SearchJob, SearchReply, SearchRequest } from './types.ts';

export interface Search {
  find(find: Omit<Find, 'budgetMs'>): Promise<Answer>;
  /** What retention has taken out of the record. */
  remove(places: Place[]): Promise<void>;
  close(): Promise<void>;
}

/** Not at once: a start has more important things to do. */
const START_AFTER_MS = 2_000;
/** Twice the time before, up to the longest, while it does not come up. */
const RESTART_AFTER_MS = 5_000;
const LONGEST_RESTART_MS = 60_000;

/** The thread that searches, started after the ledger, and again when it dies. */
export function createSearch(place: HistoryPlace, log: Log): Search {
  let running: ReturnType<typeof start> | undefined;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let restartAfterMs = RESTART_AFTER_MS;

  function startIn(ms: number): void {
    clearTimeout(timer);
    if (isClosed) return;
    timer = setTimeout(() => {
      running ??= start();
    }, ms).unref();
  }

  function start() {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
    const worker = new Worker(new URL(`./search-worker.${extension}`, import.meta.url), {
      workerData: { place, indexEveryMs: searchLimits.indexEveryMs } satisfies SearchJob,
      name: 'search',
    });
    worker.unref();
    const waiting = new Map<number, { resolve(value: never): void; reject(error: unknown): void }>();
    let last = 0;
    let isFailing = false;
    const die = (error: unknown) => {
      if (running?.worker === worker) {
        running = undefined;
        startIn(restartAfterMs);
        restartAfterMs = Math.min(2 * restartAfterMs, LONGEST_RESTART_MS);
      }
      for (const { reject } of waiting.values()) reject(unavailable(error));
      waiting.clear();
    };
    worker.on('message', (reply: SearchReply) => {
      if (reply.id === 0) {
        if (!isFailing)
          log.error('the record can’t be made searchable', { error: 'error' in reply ? reply.error : '' });
        isFailing = true;
        return;
      }
      isFailing = false;
      if (!('error' in reply)) restartAfterMs = RESTART_AFTER_MS;
      const caller = waiting.get(reply.id);
      waiting.delete(reply.id);
      if (waiting.size === 0) worker.unref();
      if ('error' in reply) caller?.reject(unavailable(new Error(reply.error)));
      else caller?.resolve(reply.value as never);
    });
    worker.on('error', (error) => {
      if (!isClosed) log.error('the thread that searches has failed', { error });
      die(error);
    });
    worker.on('exit', () => die(new Error('the thread that searches has ended')));
    const call = <T>(request: RequestOf<SearchRequest>): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        const id = ++last;
        // A statement that runs can't be interrupted: whoever waits is told, and another thread goes on where this one does not.
        const timer = setTimeout(() => {
          log.error('the thread that searches does not answer', { afterMs: searchLimits.answerMs });
          die(new Error(`no answer within ${searchLimits.answerMs} ms`));
          void worker.terminate();
        }, searchLimits.answerMs);
        const settled =
          <V>(done: (value: V) => void) =>
          (value: V) => {
            clearTimeout(timer);
            done(value);
          };
        waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
        worker.ref();
        worker.postMessage({ ...request, id });
      });
    return { worker, call, ended: new Promise((resolve) => worker.once('exit', resolve)) };
  }

  function call<T>(request: RequestOf<SearchRequest>): Promise<T> {
    if (isClosed) return Promise.reject(unavailable(new Error('the ledger is closed')));
    running ??= start();
    return running.call<T>(request);
  }

  startIn(START_AFTER_MS);
  return {
    find: (find) => call({ kind: 'find', find: { ...find, budgetMs: searchLimits.pageBudgetMs } }),
    remove: (places) => call({ kind: 'remove', places }),
    async close() {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(timer);
      if (!running) return;
      const { call: last, ended } = running;
      await last({ kind: 'close' }).catch(() => undefined);
      await ended;
    },
  };
}

type RequestOf<T> = T extends { id: number } ? Omit<T, 'id'> : never;

const unavailable = (cause: unknown) =>
  new GatehouseError('unavailable', 'search.unavailable', 'The record can’t be searched now. Try again.', { cause });
