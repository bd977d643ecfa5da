import { type Clock, GatehouseError, type Log } from '../platform/index.ts';
import type { FeedBackend } from './backend.ts';
import { toStorageError, unavailable } from './errors.ts';
import { type Change, type ChangeFeed, FEED_LEASE_MS } from './storage.ts';

/** Changes read and handed to the listener at a time. */
const CHANGES_PER_BATCH = 1_000;
/** Changes are read within milliseconds; what is this old is only kept for replicas that were cut off and come back. */
const CHANGES_KEPT_MS = 24 * 3_600_000;
const PRUNE_EVERY_MS = 3_600_000;
/** In `meta`: the last change that was deleted. */
const PRUNED = 'feed.pruned';
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
 * round that has read everything extends the lease, so that a replica which lags or hangs drops out by itself.
 *
 * INVARIANT: a replica is fresh for `FEED_LEASE_MS` from before it read, by its own clock; its row is leased for as long from the
 * read, by the database's. So whoever finds a lease run out knows that the replica denies already. He deletes the row; the replica
 * finds it gone when it acknowledges, registers anew and reads again before it is fresh.
 */
export function createFeed(backend: FeedBackend, clock: Clock, log: Log): LocalFeed {
  const { db } = backend;
  let replica: string | undefined;
  let listener: (changes: Change[]) => Promise<void>;
  let position = 0;
  let newest: number | undefined;
  let heard: { monotonicMs: number; atMs: number } | undefined;
  let loop: Promise<void> | undefined;
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

  async function now(): Promise<number> {
    return (await db.selectNoFrom(backend.now().as('now')).executeTakeFirstOrThrow()).now;
  }

  async function register(id: string): Promise<void> {
    const at = await now();
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
    const readAt = await now();
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
    const { numUpdatedRows } = await db
      .updateTable('replicas')
      .set({ acknowledged: position, ...(isCaughtUp && { lease_until: readAt + FEED_LEASE_MS }) })
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) {
      log.warn('the lease of this replica had run out; it denies everything until it has caught up', { replica: id });
      heard = undefined;
      await register(id);
      await refuseGap();
      return false;
    }
    if (isCaughtUp) heard = before;
    if (last) {
      applied.ring();
      await backend.signal('applied');
    }
    return isCaughtUp;
  }

  /** A replica that was away for so long that changes it has not seen are gone must read everything anew. */
  async function refuseGap(): Promise<void> {
    const row = await db.selectFrom('meta').select('value').where('key', '=', PRUNED).executeTakeFirst();
    if (Number(row?.value ?? 0) > position) throw new FeedEnded('this replica was away for too long; restart it');
  }

  async function prune(): Promise<void> {
    const { oldest } = await db
      .selectFrom('changes')
      .select((select) => select.fn.min('sequence').as('oldest'))
      .where('at', '>=', (await now()) - CHANGES_KEPT_MS)
      .executeTakeFirstOrThrow();
    if (oldest === null) return;
    const value = String(oldest - 1);
    await db.transaction().execute(async (transaction) => {
      await transaction.deleteFrom('changes').where('sequence', '<', oldest).execute();
      await transaction
        .insertInto('meta')
        .values({ key: PRUNED, value })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute();
    });
  }

  async function apply(changes: Change[]): Promise<void> {
    try {
      await listener(changes);
    } catch (cause) {
      throw new FeedEnded('the listener of the change feed failed', { cause });
    }
  }

  async function follow(id: string): Promise<void> {
    let pruneAt = performance.now();
    while (replica === id) {
      try {
        if (performance.now() >= pruneAt) {
          pruneAt += PRUNE_EVERY_MS;
          await prune();
        }
        while (replica === id && !(await round(id)));
        await news.wait(backend.pollMs);
      } catch (error) {
        if (error instanceof FeedEnded) {
          log.error('the change feed has ended; this replica denies everything until it is restarted', { error });
          return leave(id);
        }
        log.warn('the change feed cannot be read; trying again', { error });
        await sleep(backend.pollMs);
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
    async start(id, onChanges) {
      if (replica !== undefined) throw new GatehouseError('internal', 'storage.feed-started', 'The feed runs already.');
      try {
        position = await head();
        listener = onChanges;
        await register(id);
        while (!(await round(id)));
      } catch (error) {
        await leave(id);
        throw error instanceof FeedEnded ? error.cause : toStorageError(error);
      }
      replica = id;
      loop = follow(id);
    },
    fresh() {
      if (!heard) return false;
      // Both clocks: the wall clock may be set back, the monotonic one stands still while the machine sleeps.
      const { monotonicMs, atMs } = heard;
      return performance.now() - monotonicMs < FEED_LEASE_MS && clock.now() - atMs < FEED_LEASE_MS;
    },
    head,
    async waitForAll(sequence) {
      const expired: string[] = [];
      const giveUpAt = performance.now() + WAIT_LIMIT_MS;
      news.ring();
      while (performance.now() < giveUpAt) {
        const told = applied.wait(WAIT_POLL_MS);
        const at = await now();
        const replicas = await db.selectFrom('replicas').selectAll().execute();
        const behind = replicas.filter((row) => row.acknowledged < sequence);
        if (behind.length === 0) return { acknowledged: replicas.map((row) => row.id), expired };
        if (behind.some((row) => row.lease_until <= at)) {
          // The condition again: the row may have been extended since, and the lock on it settles who was first.
          const gone = await db
            .deleteFrom('replicas')
            .where('acknowledged', '<', sequence)
            .where('lease_until', '<=', backend.now())
            .returning('id')
            .execute();
          expired.push(...gone.map((row) => row.id));
        } else await told;
      }
      throw unavailable(new Error(`replicas have neither acknowledged change ${sequence} nor dropped out`));
    },
    async stop() {
      const id = replica;
      replica = undefined;
      news.ring();
      await loop;
      if (id !== undefined) await leave(id);
    },
    changed(sequence) {
      newest = Math.max(newest ?? 0, sequence);
      news.ring();
    },
  };
}

class FeedEnded extends Error {}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

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
