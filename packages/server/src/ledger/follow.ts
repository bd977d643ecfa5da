import type { SequencedRecord } from '@gatehouse/protocol';
import type { Log } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import type { Reader } from './read.ts';

const POLL_MS = 500;
const PAGE = 500;

/**
 * Gives each record to its listeners once it is durable, in the order of its log; other replicas' logs too. It reads what is
 * stored instead of passing on what was written, so that a listener can't see a record that a crash would take back.
 */
export function createFollower(storage: Storage, reader: Reader, log: Log) {
  const listeners = new Set<(record: SequencedRecord) => void>();
  const positions = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  /** Settles once it is known where the logs stand: what comes after that is heard. */
  let started: Promise<void> = Promise.resolve();
  let isBegun = false;
  let reading = false;
  let again = false;

  /** Of those that are there at first, what comes after is heard; of one that comes later, all. */
  async function lookForLogs(): Promise<void> {
    for (const { id } of await storage.db.selectFrom('logs').select('id').execute()) {
      if (positions.has(id)) continue;
      if (isBegun) {
        positions.set(id, 0);
        continue;
      }
      const last = await storage.db
        .selectFrom('records')
        .select('sequence')
        .where('log', '=', id)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      positions.set(id, last ? last.sequence + 1 : 0);
    }
    isBegun = true;
  }

  /** One that fails is let go, and takes no record from the others. What a slow one has not taken is its own to bound. */
  function give(record: SequencedRecord): void {
    for (const listener of listeners)
      try {
        listener(record);
      } catch (error) {
        listeners.delete(listener);
        log.error('a follower of the record failed, and hears no more', { error });
      }
  }

  async function read(): Promise<void> {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      do {
        again = false;
        for (const [id, position] of positions) {
          const records = await reader.range(id, position, PAGE);
          const last = records.at(-1);
          if (!last) continue;
          positions.set(id, last.sequence + 1);
          again ||= records.length === PAGE;
          for (const record of records) give(record);
        }
      } while (again);
    } catch (error) {
      log.warn('live records could not be read', { error });
    } finally {
      reading = false;
    }
  }

  function close(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    follow(listener: (record: SequencedRecord) => void, onReady: () => void = () => undefined): () => void {
      listeners.add(listener);
      if (!timer) {
        positions.clear();
        isBegun = false;
        started = lookForLogs().catch((error) => log.warn('live records could not be read', { error }));
        const begun = started;
        timer = setInterval(
          () => begun.then(lookForLogs).then(read, (error) => log.warn('live records could not be read', { error })),
          POLL_MS,
        );
        timer.unref();
      }
      void started.then(onReady);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) close();
      };
    },
    wake(): void {
      if (listeners.size > 0) void read();
    },
    /** For a record whose transaction has not committed yet. */
    wakeSoon(): void {
      if (listeners.size > 0) setTimeout(() => void read(), 10).unref();
    },
    close,
  };
}
