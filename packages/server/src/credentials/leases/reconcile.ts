import type { Clock, Json, Log } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { leaseLimits } from './limits.ts';
import { about, type LeaseRow, leftBehind } from './rows.ts';
import { liveStates, type Provider, type Remaining, TEST_PURPOSE } from './types.ts';

export interface ReconcilerDependencies {
  storage: Storage;
  sealer: Sealer;
  /** As it is declared now, or as it was when the lease was issued; throws while it can't be opened. */
  openFor(provider: string, declared: Json): Provider;
  /** Whether an agent may act at all: one that is suspended holds nothing. */
  isActive(agent: string): boolean;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

export interface Reconciler {
  /** Ends everything that is due, as far as providers let it. Called by a timer, and whenever there is something to end. */
  work(): Promise<void>;
  close(): Promise<void>;
}

/** Another replica takes it over when one has died in the middle of an attempt. */
const CLAIM_MARGIN_MS = 5_000;

/**
 * Takes back what was issued: what has run out, whose task is over, what was half made. Every replica does, one of them each lease at a time: it
 * moves the row ahead before it asks the provider. Nothing is ever given up.
 */
export function createReconciler({
  storage,
  sealer,
  openFor,
  isActive,
  recordChange,
  clock,
  log,
}: ReconcilerDependencies): Reconciler {
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function turn(): Promise<void> {
    do {
      again = false;
      await markEnded();
      while (!closed && (await endDue()) > 0);
    } while (again && !closed);
  }

  /** What may not be used any more begins to end: its time or its task is over, or nobody has made it in time. */
  async function markEnded(): Promise<void> {
    const now = clock.now();
    const holders = await storage.db
      .selectFrom('leases')
      .select('agent')
      .distinct()
      .where('state', 'in', ['intended', ...liveStates])
      .where('purpose', '<>', TEST_PURPOSE)
      .execute();
    const stopped = holders.map(({ agent }) => agent).filter((agent) => !isActive(agent));
    const isOver = storage.db
      .selectFrom('leases')
      .leftJoin('tasks', 'tasks.id', 'leases.task')
      .select([
        'leases.id',
        'leases.agent',
        'leases.task',
        'leases.environment',
        'leases.provider',
        'leases.state',
        'leases.expires_at',
        'tasks.state as task_state',
      ])
      .where('leases.state', 'in', ['intended', ...liveStates])
      .where((where) =>
        where.or([
          where('leases.expires_at', '<=', now),
          where.and([where('leases.state', '=', 'intended'), where('leases.making_until', '<=', now)]),
          ...(stopped.length > 0 ? [where('leases.agent', 'in', stopped)] : []),
          where.and([where('tasks.state', 'is', null), where('leases.purpose', '<>', TEST_PURPOSE)]),
          where('tasks.state', '<>', 'active'),
          where('tasks.expires_at', '<=', now),
        ]),
      )
      .limit(leaseLimits.dueAtOnce);
    for (const row of await isOver.execute()) {
      const reason =
        row.task_state !== 'active' && row.task !== ''
          ? 'its task is over'
          : row.expires_at <= now
            ? 'expired'
            : stopped.includes(row.agent)
              ? 'its agent is not active'
              : 'it was not made in time';
      await storage.transaction(async (transaction) => {
        const moved = await transaction
          .updateTable('leases')
          .set({ state: 'revoking', revoking_at: now, next_try_at: now, reason, sealed_credential: null })
          .where('id', '=', row.id)
          .where('state', '=', row.state)
          .executeTakeFirst();
        if (moved.numUpdatedRows !== 1n) return;
        await recordChange(transaction, {
          operation: 'lease.revoke',
          by: 'gatehouse',
          ...about(row),
          changes: [`lease ${row.id} of ${row.provider} is being ended: ${reason}`],
        });
        await storage.announce(transaction, 'lease', row.id, now);
      });
    }
  }

  async function endDue(): Promise<number> {
    const due = await storage.db
      .selectFrom('leases')
      .selectAll()
      .where('state', 'in', ['revoking', 'stuck'])
      .where('next_try_at', '<=', clock.now())
      .orderBy('next_try_at')
      .limit(leaseLimits.dueAtOnce)
      .execute();
    await Promise.all([...Map.groupBy(due, ({ provider }) => provider).values()].map(endOfProvider));
    return due.length;
  }

  /** The first of one that failed before goes ahead alone: where that one fails again the others would only wait for the same. */
  async function endOfProvider(rows: LeaseRow[]): Promise<void> {
    const left = [...rows];
    const first = left[0];
    if (first && first.attempts > 0) {
      left.shift();
      if (!(await endOne(first))) return postpone(left);
      await soon(first.provider);
      again = true;
    }
    const worker = async () => {
      for (let row = left.shift(); row && !closed; row = left.shift()) await endOne(row);
    };
    await Promise.all(Array.from({ length: leaseLimits.revokedAtOnce }, worker));
  }

  /** Whether it is gone. Undefined: another replica is at it. */
  async function endOne(row: LeaseRow): Promise<boolean | undefined> {
    if (!(await claim(row))) return undefined;
    let remaining: Awaited<ReturnType<Provider['revoke']>>;
    let provider: Provider;
    try {
      const { declared, ...left } = leftBehind(row, sealer);
      provider = openFor(row.provider, declared);
      remaining = await provider.revoke(left, AbortSignal.timeout(leaseLimits.revokeMs));
    } catch (error) {
      await notYet(row, error);
      return false;
    }
    // Whoever was still making it may come after this: it is looked for once more when that can't be any longer.
    const now = clock.now();
    if (remaining && remaining.until > now) {
      await rests(row, remaining);
      return true;
    }
    if (row.created_at === null && now < row.making_until) {
      await write(row, { next_try_at: row.making_until, attempts: 0, failing_since: null, problem: null });
      return true;
    }
    await write(
      row,
      {
        state: 'revoked',
        revoked_at: now,
        next_try_at: null,
        problem: null,
        failing_since: null,
        sealed_credential: null,
        sealed_revocation: null,
      },
      provider.abilities.endsOnlyByGatehouse && !provider.abilities.canRevoke
        ? `lease ${row.id} of ${row.provider} is used no more; the secret itself stays as it is`
        : `lease ${row.id} of ${row.provider} is ended, and verified to be gone`,
    );
    return true;
  }

  /** Nobody can end it: what it may still do is counted until its time is over, and then it is looked for again. */
  async function rests(row: LeaseRow, { until, why }: Remaining): Promise<void> {
    const isNews = row.problem !== why;
    await write(
      row,
      { next_try_at: until, expires_at: until, attempts: 0, failing_since: null, problem: why },
      isNews
        ? `lease ${row.id} of ${row.provider} can't be ended before ${new Date(until).toISOString()}: ${why}`
        : undefined,
    );
  }

  async function notYet(row: LeaseRow, error: unknown): Promise<void> {
    const attempts = row.attempts + 1;
    const problem = (error instanceof Error ? error.message : String(error)).slice(0, leaseLimits.problemCharacters);
    const becomesStuck = row.state !== 'stuck' && attempts >= leaseLimits.stuckAfter;
    log[becomesStuck ? 'error' : 'warn']('a credential could not be ended yet', {
      lease: row.id,
      provider: row.provider,
      attempts,
      error,
    });
    await write(
      row,
      {
        ...{ attempts, problem, next_try_at: clock.now() + backOff(attempts) },
        failing_since: row.failing_since ?? clock.now(),
        ...(becomesStuck && { state: 'stuck' }),
      },
      becomesStuck
        ? `lease ${row.id} of ${row.provider} is STUCK: ${attempts} attempts to end it have failed; it is tried on`
        : undefined,
    );
  }

  async function claim(row: LeaseRow): Promise<boolean> {
    return storage.transaction(async (transaction) => {
      const claimed = await transaction
        .updateTable('leases')
        .set({ next_try_at: clock.now() + leaseLimits.revokeMs + CLAIM_MARGIN_MS })
        .where('id', '=', row.id)
        .where('state', '=', row.state)
        .where('next_try_at', '=', row.next_try_at)
        .executeTakeFirst();
      return claimed.numUpdatedRows === 1n;
    });
  }

  async function write(row: LeaseRow, change: Partial<LeaseRow>, recorded?: string): Promise<void> {
    await storage.transaction(async (transaction) => {
      let update = transaction
        .updateTable('leases')
        .set(change)
        .where('id', '=', row.id)
        .where('state', '=', row.state);
      // It was made after all while this was looking: then that is still to be ended.
      if (change.state === 'revoked' || change.expires_at !== undefined)
        update = update.where('created_at', row.created_at === null ? 'is' : 'is not', null);
      const { numUpdatedRows } = await update.executeTakeFirst();
      if (numUpdatedRows !== 1n || recorded === undefined) return;
      const operation =
        change.state === 'revoked' ? 'lease.revoked' : change.state === 'stuck' ? 'lease.stuck' : 'lease.remains';
      await recordChange(transaction, { operation, by: 'gatehouse', ...about(row), changes: [recorded] });
      await storage.announce(transaction, 'lease', row.id, clock.now());
    });
  }

  async function postpone(rows: readonly LeaseRow[]): Promise<void> {
    if (rows.length === 0) return;
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ next_try_at: clock.now() + leaseLimits.retryMostMs })
        .where(
          'id',
          'in',
          rows.map(({ id }) => id),
        )
        .where('state', 'in', ['revoking', 'stuck'])
        .where('next_try_at', '<=', clock.now())
        .execute();
    });
  }

  /** It answers again: what waits for it is tried now. */
  async function soon(provider: string): Promise<void> {
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ next_try_at: clock.now() })
        .where('provider', '=', provider)
        .where('state', 'in', ['revoking', 'stuck'])
        .where('attempts', '>', 0)
        .execute();
    });
  }

  return {
    work() {
      if (closed) return Promise.resolve();
      again = true;
      running ??= turn().finally(() => {
        running = undefined;
      });
      return running;
    },
    async close() {
      closed = true;
      await running?.catch(() => undefined);
    },
  };
}

/** Milliseconds until the next attempt; with chance in it, so that replicas and leases spread out. */
function backOff(attempts: number): number {
  const plain = Math.min(leaseLimits.retryFirstMs * 2 ** (attempts - 1), leaseLimits.retryMostMs);
  return Math.round(plain * (0.75 + Math.random() / 4));
}
