import { endsByItself } from '@gatehouse/protocol';
import { type Clock, GatehouseError, type Json, type Log, newId } from '../../platform/index.ts';
import type { Guard, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { Ending } from './end.ts';
import type { InHand } from './in-hand.ts';
import { issueLines } from './issue-record.ts';
import { boundsOf, lifetimeOf } from './lifetime.ts';
import { leaseLimits } from './limits.ts';
import { quietSeal } from './quiet.ts';
import { withinQuota } from './quota.ts';
import { about, type LeaseRow, nameOf, sealCredential, sealRevocation } from './rows.ts';
import { sealedLease } from './seals.ts';
import { type Held, type LeaseRequest, NotMade, openStates, type Provider } from './types.ts';

export interface OpenedProvider {
  provider: Provider;
  /** What will be issued for what was asked; throws `lease.scope` where that is not within what the provider may issue. */
  narrow(asked: Json, within: readonly Json[]): Json;
  /** Where alone it may be sent, and by the gate alone: nobody is given one. */
  destinations?: readonly string[] | undefined;
  /** Fence of its declaration. */
  guard: Guard;
  /** As it is declared: kept with each lease, so that it can be ended when the declaration is gone. */
  declared: Json;
  /** Told of each that was issued, with its scope. */
  hasIssued?(scope: Json): void;
  life: { defaultSeconds: number; maxSeconds: number };
}

/** A request whose scope is known, and by whom it would be held. */
export interface Wanted extends LeaseRequest {
  scope: Json;
  holder: string;
  /** Of what makes two requests the same. */
  digest: string;
}

export interface MakingDependencies {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  ending: Ending;
  inHand: InHand;
  /** What was made, with what ending it takes. */
  keep(row: LeaseRow): void;
  /** Told when there is something to end. */
  wake(): void;
  clock: Clock;
  log: Log;
}

export type Make = ReturnType<typeof createMaking>;

export const ended = () =>
  new GatehouseError(
    'conflict',
    'lease.ended',
    'The credential was ended before it could be used: its task is over, or it took too long to make.',
  );

export const stopped = () =>
  new GatehouseError(
    'forbidden',
    'lease.stopped',
    'Agent, task or provider has changed meanwhile, so no credential is issued. Try again.',
  );

/** A new lease. Each step is durable before the next: it is intended, the provider makes it, what ending it takes is kept, and it is given out. */
export function createMaking({
  storage,
  sealer,
  recordChange,
  ending,
  inHand,
  keep,
  wake,
  clock,
  log,
}: MakingDependencies) {
  async function intend(row: LeaseRow, guards: Guard[], quota: LeaseRequest['quota'], declared: Json): Promise<void> {
    await storage.transaction(async (transaction) => {
      const written = await storage.appendWithin(transaction, { guards, records: [], bodies: [] });
      if (!written.ok) throw stopped();
      const { count } = await transaction
        .selectFrom('leases')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('task', '=', row.task)
        .where('state', 'in', openStates)
        // What is for no task counts by provider: one that ends nothing is not to stop the others.
        .$if(row.task === '', (query) => query.where('provider', '=', row.provider))
        .executeTakeFirstOrThrow();
      if (Number(count) >= leaseLimits.perTask)
        throw new GatehouseError(
          'too-many',
          'lease.limit',
          `Task ${row.task} has ${count} credentials already, and no more than ${leaseLimits.perTask} at once.`,
        );
      if (quota) await withinQuota(transaction, row, quota);
      const inserted = await transaction
        .insertInto('leases')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (inserted.numInsertedOrUpdatedRows !== 1n)
        throw new GatehouseError('conflict', 'lease.elsewhere', 'Another replica is issuing it.');
      await recordChange(transaction, {
        operation: 'lease.issue',
        by: 'gatehouse',
        ...about(row),
        changes: issueLines(row, declared),
      });
    });
  }

  /** Nobody knows whether it was made, unless the provider says so: it is ended as if it were. */
  async function failed(row: LeaseRow, error: unknown): Promise<void> {
    log.warn('a provider did not issue a credential', { provider: row.provider, lease: row.id, error });
    if (error instanceof NotMade) return notMade(row);
    await storage.transaction((transaction) =>
      ending.within(transaction, { id: row.id }, 'gatehouse', 'it could not be issued'),
    );
    wake();
  }

  async function notMade(row: LeaseRow): Promise<void> {
    const now = clock.now();
    const over = { state: 'revoked', next_try_at: null, created_at: null };
    await storage.transaction(async (transaction) => {
      const { numUpdatedRows } = await transaction
        .updateTable('leases')
        .set((update) => ({
          ...{ ...over, seal: quietSeal(sealer, { ...row, ...over }) },
          revoking_at: update.fn.coalesce('revoking_at', update.val(now)),
          revoked_at: now,
          reason: update.fn.coalesce('reason', update.val('it was not issued')),
          problem: null,
          sealed_revocation: null,
        }))
        .where('id', '=', row.id)
        .where('state', '<>', 'revoked')
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return;
      await recordChange(transaction, {
        operation: 'lease.revoked',
        by: 'gatehouse',
        ...about(row),
        changes: [`lease ${row.id} of ${row.provider} was not issued: there is nothing to end`],
      });
      await storage.announce(transaction, 'lease', row.id, now);
    });
  }

  return async function make(
    wanted: Wanted,
    { provider, guard, life, declared, hasIssued }: OpenedProvider,
    guards: readonly Guard[],
  ): Promise<Held> {
    const now = clock.now();
    const bounds = boundsOf(now, { ...life, agentSeconds: wanted.agentSeconds }, wanted.until);
    const lifetime = lifetimeOf(now, wanted.ttlSeconds, life, bounds);
    if (!lifetime)
      throw new GatehouseError(
        'conflict',
        'lease.too-short',
        `Less than ${leaseLimits.minSeconds} s are left for a credential of ${wanted.provider}: its task or approval ends. Start another task.`,
      );
    const id = newId('lse', now);
    const { maxResidualSeconds, leastSeconds } = provider.abilities;
    // Until it is known: as long as what is made at the last moment works.
    const least = Math.max(
      leastSeconds === undefined ? 0 : now + leaseLimits.createMs + leastSeconds * 1_000,
      provider.worksUntil?.(lifetime.expiresAt) ?? 0,
    );
    const intended: LeaseRow = {
      id,
      provider: wanted.provider,
      agent: wanted.agent,
      task: wanted.task,
      environment: wanted.environment,
      purpose: wanted.purpose,
      holder: wanted.holder,
      ungated: wanted.ungated ? 1 : 0,
      single_use: wanted.singleUse ? 1 : 0,
      state: 'intended',
      scope: JSON.stringify(wanted.scope),
      clamped: JSON.stringify([...(wanted.clamped ?? []), ...lifetime.clamped]),
      max_residual_seconds: maxResidualSeconds,
      intended_at: now,
      making_until: now + leaseLimits.createMs,
      created_at: null,
      active_at: null,
      expires_at: lifetime.expiresAt,
      works_until: least > lifetime.expiresAt ? least : null,
      revoking_at: null,
      revoked_at: null,
      reason: null,
      attempts: 0,
      // Whoever finds it still intended then ends what may have been half made.
      next_try_at: now + leaseLimits.createMs,
      problem: null,
      sealed_credential: null,
      sealed_revocation: null,
      seal: null,
      idempotency_key: wanted.idempotencyKey ?? null,
      request_digest: wanted.digest,
      handed_by: null,
      bounds: JSON.stringify(bounds),
      extending_to: null,
      renewed_at: null,
      renewals: 0,
      failing_since: null,
      ends_by_itself: endsByItself(provider.abilities, wanted.ungated === true) ? 1 : 0,
      drop_asked_by: null,
      drop_asked_at: null,
      drop_reason: null,
      dropped_by: null,
      dropped_at: null,
      drop_seal: null,
    };
    const row = sealedLease(sealer, {
      ...intended,
      sealed_revocation: sealRevocation(sealer, intended, declared, null),
    });
    await intend(row, [...guards, guard], wanted.quota, declared);
    const order = {
      lease: id,
      name: nameOf(id),
      scope: wanted.scope,
      expiresAt: lifetime.expiresAt,
      environment: wanted.environment,
      agent: wanted.agent,
      task: wanted.task,
      user: wanted.user ?? null,
    };
    let made: Awaited<ReturnType<Provider['create']>>;
    try {
      made = await provider.create(order, AbortSignal.timeout(leaseLimits.createMs));
    } catch (error) {
      await failed(row, error);
      throw error instanceof GatehouseError
        ? error
        : new GatehouseError(
            'upstream',
            'lease.provider',
            `${wanted.provider} issued no credential; the server's log has the cause. Try again, or test it with \`gatehouse providers test ${wanted.provider}\`.`,
            { cause: error },
          );
    }
    hasIssued?.(wanted.scope);
    const expiresAt = Math.min(made.expiresAt ?? lifetime.expiresAt, lifetime.expiresAt);
    const worksUntil =
      made.expiresAt === undefined ? row.works_until : made.expiresAt > expiresAt ? made.expiresAt : null;
    const sealed = {
      works_until: worksUntil,
      sealed_credential: sealCredential(sealer, id, made),
      sealed_revocation: sealRevocation(sealer, row, declared, made.revocation),
    };
    const { seal } = sealedLease(sealer, { ...row, expires_at: expiresAt });
    const isThere = await storage.transaction(async (transaction) => {
      const at = clock.now();
      const updated = await transaction
        .updateTable('leases')
        .set({ ...sealed, seal, state: 'created', created_at: at, expires_at: expiresAt, next_try_at: expiresAt })
        .where('id', '=', id)
        .where('state', '=', 'intended')
        .executeTakeFirst();
      if (updated.numUpdatedRows === 1n) return true;
      // Ended while it was being made: what ending it takes is known now, and it is ended once more.
      await transaction
        .updateTable('leases')
        .set({
          sealed_revocation: sealed.sealed_revocation,
          works_until: worksUntil,
          state: 'revoking',
          created_at: at,
          revoked_at: null,
          next_try_at: at,
        })
        .where('id', '=', id)
        .execute();
      return false;
    });
    if (!isThere) {
      wake();
      throw ended();
    }
    const there = { ...row, ...sealed, state: 'created', expires_at: expiresAt };
    keep(there);
    return inHand.remember(there, made.credential);
  };
}
