import { type Clock, GatehouseError, type Log } from '../platform/index.ts';
import type { FeedBackend } from './backend.ts';
import { toStorageError, unavailable } from './errors.ts';
import { lastPruned, pruneChanges } from './feed-prune.ts';
import { createWait } from './feed-wait.ts';
import { createRetry } from './retry.ts';
import { type Change, type ChangeFeed, FEED_LEASE_MS } from './storage.ts';
import { createTrouble } from './trouble.ts';

/** Changes read and handed to the listener at a time. */
const CHANGES_PER_BATCH = 1_000;
const PRUNE_EVERY_MS = 3_600_000;
/** Between two tries, at most: shorter than the lease, so that a database that is back is soon heard of. */
const LONGEST_RETRY_MS = 2_000;
/** How often a waiter looks at the other replicas without having been told. */
const WAIT_POLL_MS = 50;
/** A waiter gives up after this; every lease has run out long before. */
const WAIT_LIMIT_MS = 3 * FEED_LEASE_MS;

export interface LocalFeed extends ChangeFeed {
  /** Says that this process has just committed changes up to this sequence. */
  changed(sequence: number): void;
}

/**
 * The feed of one replica. One loop reads, has the listener apply, then writes what was applied together with the lease; only a
 * round that has read everything extends the lease, so that a replica which lags or hangs drops out by itself. What the listener could not
 * apply (the database was lost in the middle of it) is read and applied again, as often as it takes; until then this replica denies.
 *
 * INVARIANT: a replica is fresh for `FEED_LEASE_MS` from before it read what it then acknowledged. So whoever has watched its row
 * for as long and seen no new lease knows that it denies already, whatever the clocks of the machines say. He deletes that row; the
 * replica finds it gone when it acknowledges, registers anew and reads again before it is fresh.
 */
export function createFeed(backend: FeedBackend, clock: Clock, log: Log): LocalFeed {
  const { db } = backend;
  let replica: string | undefined;
  let listener: (changes: Change[]) => Promise<void>;
  let position = 0;
  let newest: number | undefined;
  let heard: { monotonicMs: number; atMs: number } | undefined;
  let acknowledgedAtMs = Number.NEGATIVE_INFINITY;
  let waiters = 0;
  let loop: Promise<void> | undefined;
  let stopping = new AbortController();
  const trouble = createTrouble('changes', clock);
  const news = createBell();
  const applied = createBell();

  backend.listen((what) => (what === 'changes' ? news : applied).ring());

  async function head(): Promise<number> {
    // Without asking, where nobody else writes: whoever kills waits for nothing.
    if (newest !== undefined && !backend.isShared) return newest;
    const last = await db
      .selectFrom('changes')
      .select('sequence')
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst();
    newest = Math.max(newest ?? 0, last?.sequence ?? 0);
    return newest;
  }

  async function register(id: string): Promise<void> {
    acknowledgedAtMs = Number.NEGATIVE_INFINITY;
    const at = await backend.now();
    const lease = { acknowledged: position, lease_until: at + FEED_LEASE_MS };
    await db
      .insertInto('replicas')
      .values({ id, ...lease, started_at: at })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(lease))
      .execute();
  }

  /** Gives true once everything that was there has been applied and acknowledged. */
  async function round(id: string): Promise<boolean> {
    const before = { monotonicMs: performance.now(), atMs: clock.now() };
    const readAt = await backend.now();
    const changes = await db
      .selectFrom('changes')
      .selectAll()
      .where('sequence', '>', position)
      .orderBy('sequence')
      .limit(CHANGES_PER_BATCH)
      .execute();
    const last = changes.at(-1);
    if (last) {
      await apply(changes as Change[]);
      position = last.sequence;
    }
    const isCaughtUp = changes.length < CHANGES_PER_BATCH;
    // Where nobody else can be waiting, a write for every change would double the cost of the change.
    const isDue = performance.now() - acknowledgedAtMs >= backend.pollMs;
    if (!backend.isShared && waiters === 0 && !isDue) return isCaughtUp;
    const { numUpdatedRows } = await db
      .updateTable('replicas')
      .set({ acknowledged: position, ...(isCaughtUp && { lease_until: readAt + FEED_LEASE_MS }) })
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    if (replica !== id) return true;
    if (numUpdatedRows === 0n) {
      log.warn('the lease of this replica had run out; it denies everything until it has caught up', { replica: id });
      heard = undefined;
      await register(id);
      if ((await lastPruned(db)) > position) throw new FeedEnded('this replica was away for too long');
      return false;
    }
    acknowledgedAtMs = before.monotonicMs;
    if (isCaughtUp) heard = before;
    trouble.over();
    applied.ring();
    if (last) await backend.signal('applied');
    return isCaughtUp;
  }

  /** A change that is known and not applied may be the one that forbids the next call: nothing is let through on the rest of the lease. */
  async function apply(changes: Change[]): Promise<void> {
    try {
      await listener(changes);
    } catch (cause) {
      heard = undefined;
      acknowledgedAtMs = Number.NEGATIVE_INFINITY;
      throw new Unapplied('what has changed could not be applied', { cause });
    }
  }

  async function follow(id: string): Promise<void> {
    let pruneAt = performance.now();
    const retry = createRetry(backend.pollMs, LONGEST_RETRY_MS);
    while (replica === id) {
      try {
        if (performance.now() >= pruneAt) {
          pruneAt += PRUNE_EVERY_MS;
          await pruneChanges(db, await backend.now());
        }
        while (replica === id && !(await round(id)));
        if (retry.failures > 0) log.info('the change feed is followed again', { after: retry.failures });
        retry.over();
        await news.wait(backend.pollMs);
      } catch (error) {
        if (error instanceof FeedEnded) {
          log.error('the change feed has ended; this replica denies everything until it is restarted', { error });
          trouble.failed(error);
          return leave(id);
        }
        if (retry.failures === 0) log.warn('the change feed cannot be followed; trying again', { error });
        trouble.failed(error);
        await retry.wait(stopping.signal);
      }
    }
  }

  /** No longer fresh first, no longer waited for second. */
  async function leave(id: string): Promise<void> {
    heard = undefined;
    replica = undefined;
    await db
      .deleteFrom('replicas')
      .where('id', '=', id)
      .execute()
      .catch((error) => log.warn('the replica could not sign off; its lease will run out', { error }));
  }

  return {
    async start(id, onChanges, since) {
      if (replica !== undefined) throw new GatehouseError('internal', 'storage.feed-started', 'The feed runs already.');
      replica = id;
      stopping = new AbortController();
      try {
        position = since ?? (await head());
        listener = onChanges;
        await register(id);
        while (!(await round(id)));
      } catch (error) {
        await leave(id);
        throw error instanceof Unapplied ? error.cause : toStorageError(error);
      }
      loop = follow(id);
    },
    fresh() {
      if (!heard) return false;
      // Both clocks: the wall clock may be set back, the monotonic one stands still while the machine sleeps.
      const { monotonicMs, atMs } = heard;
      return performance.now() - monotonicMs < FEED_LEASE_MS && clock.now() - atMs < FEED_LEASE_MS;
    },
    trouble: () => trouble.view(),
    head,
    async waitForAll(sequence) {
      const wait = createWait(db, sequence);
      const giveUpAt = performance.now() + WAIT_LIMIT_MS;
      waiters++;
      news.ring();
      try {
        for (;;) {
          const told = applied.wait(WAIT_POLL_MS);
          try {
            const outcome = await wait.look();
            if (outcome) return outcome;
            if (performance.now() > giveUpAt)
              throw unavailable(new Error(`change ${sequence} is not applied everywhere`));
          } catch (error) {
            if (performance.now() > giveUpAt) throw toStorageError(error);
          }
          await told;
        }
      } finally {
        waiters--;
      }
    },
    async stop() {
      const id = replica;
      replica = undefined;
      stopping.abort();
      news.ring();
      // A listener that hangs must not keep the process from ending.
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise((resolve) => {
        timer = setTimeout(resolve, FEED_LEASE_MS);
      });
      await Promise.race([loop, limit]);
      clearTimeout(timer);
      if (id !== undefined) await leave(id);
    },
    changed(sequence) {
      newest = Math.max(newest ?? 0, sequence);
      news.ring();
    },
  };
}

class FeedEnded extends Error {}
class Unapplied extends Error {}

/** Wakes all who wait; a ring while nobody waits is kept for the next. */
function createBell(): { ring(): void; wait(timeoutMs: number): Promise<void> } {
  let waiting: (() => void)[] = [];
  let isKept = false;
  return {
    ring() {
      isKept = waiting.length === 0;
      for (const wake of waiting) wake();
      waiting = [];
    },
    wait(timeoutMs) {
      if (isKept) {
        isKept = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        const timer = setTimeout(wake, timeoutMs);
        function wake() {
          clearTimeout(timer);
          waiting = waiting.filter((other) => other !== wake);
          resolve();
        }
        waiting.push(wake);
      });
    },
  };
}
