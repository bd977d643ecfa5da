import { type Clock, GatehouseError, type Json, type Log } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { type Bound, lifetimeOf } from './lifetime.ts';
import { leaseLimits } from './limits.ts';
import { ended, type OpenedProvider } from './make.ts';
import { about, type LeaseRow, leftBehind } from './rows.ts';
import { leaseProblem, type Sealing, sealedLease } from './seals.ts';
import { isLive, liveStates } from './types.ts';

export interface RenewingDependencies {
  storage: Storage;
  sealer: Sealer;
  sealing: Sealing;
  open(provider: string, environment: string): Promise<OpenedProvider>;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

const elsewhere = () =>
  new GatehouseError('conflict', 'lease.elsewhere', 'It is being renewed or ended at this moment. Look again.');

const notRenewable = (why: string) =>
  new GatehouseError('conflict', 'lease.not-renewable', `${why} The next call of its task gets another.`);

/**
 * Has a lease that is in use end later: counted from now, never beyond the bounds that it was issued with, and never earlier than it would have. How
 * long it may live is durable before the provider hears of it. Where its answer is lost the lease ends when it would have, and is not renewed again.
 */
export function createRenewing({ storage, sealer, sealing, open, recordChange, clock, log }: RenewingDependencies) {
  /** Undefined: it can't end later than it does. */
  function laterEnd(row: LeaseRow, opened: OpenedProvider, ttlSeconds: number | undefined) {
    const bounds = JSON.parse(row.bounds) as Bound[];
    const { maxSeconds } = opened.life;
    const allowed = { at: row.intended_at + maxSeconds * 1_000, why: `the provider allows ${maxSeconds} s` };
    const all = [...bounds.filter(({ why }) => why !== allowed.why), allowed];
    const lifetime = lifetimeOf(clock.now(), ttlSeconds, opened.life, all);
    return lifetime && lifetime.expiresAt > row.expires_at ? lifetime : undefined;
  }

  const isUnderWay = (row: LeaseRow): boolean =>
    row.extending_to !== null && row.renewed_at !== null && clock.now() < row.renewed_at + leaseLimits.createMs;

  /** What was handed out was let out for its time, and not for longer. */
  const canBeRenewed = (row: LeaseRow, { provider }: OpenedProvider): boolean =>
    provider.renew !== undefined &&
    row.ungated === 0 &&
    isLive(row.state) &&
    row.extending_to === null &&
    row.bounds !== '[]';

  async function extend(
    row: LeaseRow,
    opened: OpenedProvider,
    to: { expiresAt: number; clamped: string[] },
    by: string,
  ) {
    const { provider, guard } = opened;
    // What it may do has to be within what would be issued now.
    opened.narrow(JSON.parse(row.scope) as Json, []);
    await storage.transaction(async (transaction) => {
      const now = clock.now();
      const written = await storage.appendWithin(transaction, { guards: [guard], records: [], bodies: [] });
      const task = await transaction
        .selectFrom('tasks')
        .select('id')
        .where('id', '=', row.task)
        .where('state', '=', 'active')
        .where('expires_at', '>', now)
        .executeTakeFirst();
      const { numUpdatedRows } = await transaction
        .updateTable('leases')
        .set({ extending_to: to.expiresAt, renewed_at: now })
        .where('id', '=', row.id)
        .where('state', 'in', liveStates)
        .where('expires_at', '>', now)
        .where('extending_to', 'is', null)
        .executeTakeFirst();
      if (!written.ok || !task) throw ended();
      // Another replica was first, or it has just ended: that is seen by looking again.
      if (numUpdatedRows !== 1n) throw elsewhere();
      await recordChange(transaction, {
        operation: 'lease.renew',
        by,
        ...about(row),
        changes: [
          `lease ${row.id} of ${row.provider} may live until ${new Date(to.expiresAt).toISOString()}`,
          ...to.clamped.map((why) => `no longer, as ${why}`),
        ],
      });
    });
    const { declared, ...left } = leftBehind(row, sealer);
    let given: { expiresAt?: number };
    try {
      given = await (provider.renew as NonNullable<typeof provider.renew>)(
        left,
        to.expiresAt,
        AbortSignal.timeout(leaseLimits.createMs),
      );
    } catch (error) {
      log.warn('a provider did not renew a credential', { provider: row.provider, lease: row.id, error });
      throw error instanceof GatehouseError
        ? error
        : new GatehouseError(
            'upstream',
            'lease.provider',
            `${row.provider} did not renew it; the server's log has the cause. It ends when it would have.`,
            { cause: error },
          );
    }
    const expiresAt = Math.min(given.expiresAt ?? to.expiresAt, to.expiresAt);
    await storage.transaction(async (transaction) => {
      const live = await transaction
        .selectFrom('leases')
        .selectAll()
        .where('id', '=', row.id)
        .where('state', 'in', liveStates)
        .executeTakeFirst();
      if (!live || leaseProblem(sealer, live) !== null) throw ended();
      const { seal } = sealedLease(sealer, { ...live, expires_at: expiresAt });
      await transaction
        .updateTable('leases')
        .set({
          expires_at: expiresAt,
          next_try_at: expiresAt,
          clamped: JSON.stringify(to.clamped),
          extending_to: null,
          renewals: row.renewals + 1,
          seal,
        })
        .where('id', '=', row.id)
        .execute();
      // Replicas that have it in hand read its new end.
      await storage.announce(transaction, 'renewal', row.id, clock.now());
    });
  }

  return {
    /** For a person. Throws where it can't be renewed at all; where it can't end later than it does nothing is changed. */
    async renew(row: LeaseRow, ttlSeconds: number | undefined, by: string): Promise<void> {
      if (!isLive(row.state) || row.expires_at <= clock.now() || !(await sealing.isIntact(row)))
        throw new GatehouseError(
          'conflict',
          'lease.ended',
          `It is ${isLive(row.state) ? 'over' : row.state}, and can't be renewed. The next call of its task gets another.`,
        );
      const opened = await open(row.provider, row.environment);
      if (!canBeRenewed(row, opened))
        throw notRenewable(
          !opened.provider.renew
            ? `${row.provider} can't extend what it has issued.`
            : row.ungated === 1
              ? 'It was handed out for its time, and for no longer.'
              : 'The answer to its last renewal was lost, so it ends when it would have.',
        );
      const later = laterEnd(row, opened, ttlSeconds);
      if (later) await extend(row, opened, later, by);
    },

    /** For the next call of a task that has it: whether it lives on, or is about to. Otherwise another is issued. */
    async inUse(row: LeaseRow, opened: OpenedProvider): Promise<boolean> {
      if (isUnderWay(row)) return true;
      if (!canBeRenewed(row, opened)) return false;
      const later = laterEnd(row, opened, undefined);
      if (!later || later.expiresAt - clock.now() <= leaseLimits.renewBeforeMs) return false;
      return extend(row, opened, later, 'gatehouse').then(
        () => true,
        (error) => error instanceof GatehouseError && error.code === 'lease.elsewhere',
      );
    },
  };
}

export type Renewing = ReturnType<typeof createRenewing>;
