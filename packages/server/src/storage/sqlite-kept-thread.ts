import { statSync } from 'node:fs';
import type { Log } from '../platform/index.ts';
import { unavailable } from './errors.ts';
import { createRetry } from './retry.ts';
import { type SqliteThread, type SqliteWorkerData, startSqliteThread } from './sqlite-thread.ts';

/** Between attempts to start one anew. */
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 5_000;
/** Threads that are given up and have not ended: when there are more, no other is started in their place until one has. */
const GIVEN_UP = 3;

/**
 * A thread that is started anew when it ends, or has run one statement for too long. Meanwhile whatever is asked of it is refused, and what it
 * was asked before is not known to have been done. INVARIANT: it goes on with the same file; one that was put in its place is for whoever starts
 * the server.
 */
export async function keepSqliteThread(
  data: SqliteWorkerData,
  { log, limitMs = null }: { log: Log; limitMs?: number | null },
): Promise<SqliteThread> {
  let isClosed = false;
  let inode: number | undefined;
  let givenUp = 0;
  let why: unknown = new Error('the database thread has ended');
  const retry = createRetry(FIRST_RETRY_MS, LONGEST_RETRY_MS);
  const closing = new AbortController();
  let restarting: Promise<void> | undefined;
  let thread: SqliteThread | undefined = await start();
  inode = statSync(data.file).ino;

  function start(): Promise<SqliteThread> {
    return startSqliteThread(
      { ...data, ...(inode !== undefined && { inode }) },
      {
        limitMs,
        /** `ended`: settles when the thread is gone, which may be long after it was given up. */
        onDeath(reason, ended) {
          if (isClosed) return;
          why = reason;
          thread = undefined;
          givenUp++;
          void ended.then(() => givenUp--);
          log.error('a database thread has ended, and is started anew', { role: data.role, error: reason });
          restarting ??= restart().finally(() => {
            restarting = undefined;
          });
        },
      },
    );
  }

  async function restart(): Promise<void> {
    while (!isClosed && !thread) {
      await retry.wait(closing.signal);
      if (isClosed || givenUp > GIVEN_UP) continue;
      try {
        const started = await start();
        if (isClosed) return await started.close();
        thread = started;
        retry.over();
        log.info('a database thread was started anew', { role: data.role });
      } catch (error) {
        why = error;
        log.error('a database thread could not be started anew', { role: data.role, error });
      }
    }
  }

  const now = (): SqliteThread => {
    if (!thread) throw unavailable(why);
    return thread;
  };

  return {
    call: async (kind, body) => now().call(kind, body),
    write: async (kind, id, first, units) => now().write(kind, id, first, units),
    async close() {
      isClosed = true;
      closing.abort();
      await restarting;
      await thread?.close();
    },
  };
}
