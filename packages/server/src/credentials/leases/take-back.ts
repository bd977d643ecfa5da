import type { ProviderAbilities } from '@gatehouse/protocol';
import type { Clock, Json, Log } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { leaseLimits } from './limits.ts';
import { gone, lost } from './lost.ts';
import { quietSeal } from './quiet.ts';
import { about, type LeaseRow, leftBehind, toLease } from './rows.ts';
import type { Alarm, Provider, Remaining } from './types.ts';

export interface TakingBackDependencies {
  storage: Storage;
  sealer: Sealer;
  /** The one that has made it; throws while it can't be opened. */
  openFor(provider: string, declared: Json): Provider;
  recordChange: RecordChange;
  alarm?: Alarm | undefined;
  clock: Clock;
  log: Log;
}

/** Another replica takes it over when one has died in the middle of an attempt. */
const CLAIM_MARGIN_MS = 5_000;

/** One attempt at ending one lease: it moves the row ahead before it asks the provider, so that nobody else is at it. */
export function createTakingBack({
  storage,
  sealer,
  openFor,
  recordChange,
  alarm,
  clock,
  log,
}: TakingBackDependencies) {
  /** Whether it is gone. Undefined: another replica is at it. */
  async function endOne(row: LeaseRow): Promise<boolean | undefined> {
    if (!(await claim(row))) return undefined;
    let remaining: Awaited<ReturnType<Provider['revoke']>>;
    let provider: Provider;
    try {
      const { declared, isLost, ...left } = leftBehind(row, sealer);
      if (declared === null) throw gone(row);
      provider = openFor(row.provider, declared);
      remaining = await provider.revoke(left, AbortSignal.timeout(leaseLimits.revokeMs));
      if (isLost && !provider.findsByName) {
        const all = lost(row, left, remaining);
        if (all.until > clock.now()) {
          await rests(row, all, 'stuck');
          return true;
        }
      }
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
    const over = { state: 'revoked', next_try_at: null };
    await write(
      row,
      {
        ...{ ...over, seal: quietSeal(sealer, { ...row, ...over }) },
        revoked_at: now,
        problem: null,
        failing_since: null,
        sealed_credential: null,
        sealed_revocation: null,
      },
      `lease ${row.id} of ${row.provider} ${endedWords(provider.abilities)}`,
    );
    return true;
  }

  /** Nobody can end it: what it may still do is counted until its time is over, and then it is looked for again. */
  async function rests(row: LeaseRow, { until, why }: Remaining, state = row.state): Promise<void> {
    const isNews = row.problem !== why;
    const resting = { state, next_try_at: until };
    await write(
      row,
      {
        ...{ ...resting, seal: quietSeal(sealer, { ...row, ...resting }) },
        ...{ expires_at: until, attempts: 0, problem: why },
        failing_since: state === 'stuck' ? (row.failing_since ?? clock.now()) : null,
      },
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
      if ((row.state === 'stuck') !== ((change.state ?? row.state) === 'stuck'))
        await alarm?.(transaction, toLease({ ...row, ...change }));
    });
  }

  return endOne;
}

const endedWords = ({ isStored, sessionsOutlive }: ProviderAbilities): string =>
  isStored
    ? 'is used no more; the secret itself stays as it is'
    : sessionsOutlive
      ? 'is over; sessions that were opened with it go on until their host ends them'
      : 'is ended, and verified to be gone';

/** Milliseconds until the next attempt; with chance in it, so that replicas and leases spread out. */
function backOff(attempts: number): number {
  const plain = Math.min(leaseLimits.retryFirstMs * 2 ** (attempts - 1), leaseLimits.retryMostMs);
  return Math.round(plain * (0.75 + Math.random() / 4));
}
