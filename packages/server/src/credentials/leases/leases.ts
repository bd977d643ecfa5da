import type { LeaseView } from '@gatehouse/protocol';
import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import {
  type Clock,
  digestJson,
  GatehouseError,
  type Json,
  type Log,
  newId,
  type Secret,
} from '../../platform/index.ts';
import type { DatabaseTransaction, Guard, RecordChange, Sealer, Storage, Tables } from '../../storage/index.ts';
import { lifetimeOf } from './lifetime.ts';
import { leaseLimits } from './limits.ts';
import { about, type LeaseRow, nameOf, openCredential, sealCredential, sealRevocation, toLease } from './rows.ts';
import { type Held, type LeaseRequest, liveStates, openStates, type Provider } from './types.ts';

export interface OpenedProvider {
  provider: Provider;
  /** Fence of its declaration. */
  guard: Guard;
  /** As it is declared: kept with each lease, so that it can be ended when the declaration is gone. */
  declared: Json;
  life: { defaultSeconds: number; maxSeconds: number };
}

export interface LeasesDependencies {
  storage: Storage;
  sealer: Sealer;
  /** Throws `provider.unknown` for one that is not declared in this environment. */
  open(provider: string, environment: string): Promise<OpenedProvider>;
  recordChange: RecordChange;
  /** Told when there is something to end. */
  wake(): void;
  clock: Clock;
  log: Log;
}

export interface Leases {
  /** Before it is sent or given to anybody: it is known to be in use, or it is refused. */
  activate(held: Held): Promise<void>;
  /**
   * A lease of this task for this purpose that may be used now: the one there is, or a new one. `guards`: what must still hold of agent and
   * task in the transaction that intends it. What is given out has a durable record.
   */
  issue(request: LeaseRequest, guards: readonly Guard[]): Promise<Held>;
  /** Begins to end these, in the transaction of whatever ends them. Gives their ids. */
  endWithin(
    transaction: DatabaseTransaction,
    of: { id: string } | { task: string } | { agent: string } | { provider: string },
    by: string,
    reason: string,
  ): Promise<string[]>;
  /** The same with those whose task is over. */
  endOverWithin(transaction: DatabaseTransaction, by: string, reason: string): Promise<string[]>;
  /** Has these ended at once, and waits so long at most until they are verified to be gone. What is left works for so many seconds at most. */
  settled(
    of: { agent?: string; ids: readonly string[] },
    waitMs: number,
  ): Promise<{ open: number; residualSeconds: number }>;
  openByProvider(): Promise<Map<string, { open: number; stuck: number }>>;
  end(id: string, by: string, reason: string): Promise<LeaseView>;
  get(id: string): Promise<LeaseView>;
  list(filter: LeaseFilter): Promise<{ leases: LeaseView[]; next: string | null }>;
  /** Forgets the credentials of what may not be used any more on this replica. */
  forget(of: { task: string } | { agent: string } | { id: string }): void;
}

export interface LeaseFilter {
  agent?: string;
  task?: string;
  provider?: string;
  state?: string;
  /** Only what a provider may know. */
  open?: boolean;
  before?: string;
  limit: number;
}

interface Cached extends Held {
  intendedAt: number;
  agent: string;
  task: string;
  holder: string;
}

const POLL_MS = 50;

const ended = () =>
  new GatehouseError(
    'conflict',
    'lease.ended',
    'The credential was ended before it could be used: its task is over, or it took too long to make.',
  );

export function createLeases(deps: LeasesDependencies): Leases {
  const { storage, sealer, recordChange, clock, log } = deps;
  /** By holder: what is in use, so that a call with a lease that is there touches no database. */
  const held = new Map<string, Cached>();
  const making = new Map<string, Promise<Held>>();
  /** Known to be in use; of what is in `held`. */
  const active = new Set<string>();

  async function issue(request: LeaseRequest, guards: readonly Guard[]): Promise<Held> {
    const opened = await deps.open(request.provider, request.environment);
    const scope = opened.provider.scopeOf(request.asked);
    const holder = digestJson([request.task, request.provider, request.purpose, request.ungated === true, scope]);
    if (request.singleUse)
      return make({ ...request, scope, holder: `${holder} ${newId('lse', clock.now())}` }, opened, guards);
    const there = held.get(holder);
    if (there && isFresh(there.intendedAt, there.lease.expiresAt)) return there;
    const begun = making.get(holder);
    if (begun) return begun;
    const made = findOrMake({ ...request, scope, holder }, opened, guards).finally(() => making.delete(holder));
    making.set(holder, made);
    return made;
  }

  /** Of one that its task's end has made short less is kept in hand, or each call would make another. */
  const isFresh = (intendedAt: number, expiresAt: number) =>
    expiresAt - clock.now() > Math.min(leaseLimits.renewBeforeMs, (expiresAt - intendedAt) / 3);

  type Wanted = LeaseRequest & { scope: LeaseRequest['asked']; holder: string };

  async function findOrMake(wanted: Wanted, opened: OpenedProvider, guards: readonly Guard[]): Promise<Held> {
    for (const giveUpAt = clock.now() + leaseLimits.createMs; ; ) {
      const row = await storage.db
        .selectFrom('leases')
        .selectAll()
        .where('holder', '=', wanted.holder)
        .where('state', 'in', ['intended', ...liveStates])
        .executeTakeFirst();
      if (!row) {
        try {
          return await make(wanted, opened, guards);
        } catch (error) {
          // Another replica was first: what it makes is for the same task, and as good.
          if (!(error instanceof GatehouseError && error.code === 'lease.elsewhere')) throw error;
        }
      } else if (row.state !== 'intended' && row.sealed_credential) {
        if (isFresh(row.intended_at, row.expires_at))
          return remember(row, openCredential(sealer, row.id, row.sealed_credential));
        await replace(row);
        continue;
      }
      if (clock.now() > giveUpAt)
        throw new GatehouseError(
          'timeout',
          'lease.timeout',
          `No credential of ${wanted.provider} was there in time. Try again.`,
        );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** One that is about to run out gives way to the next; it stays usable for the calls that have it until its time is over. */
  async function replace(row: LeaseRow): Promise<void> {
    held.delete(row.holder);
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ holder: `${row.holder} ${row.id}` })
        .where('id', '=', row.id)
        .where('holder', '=', row.holder)
        .execute();
    });
  }

  async function make(
    wanted: Wanted,
    { provider, guard, life, declared }: OpenedProvider,
    guards: readonly Guard[],
  ): Promise<Held> {
    const now = clock.now();
    const lifetime = lifetimeOf(now, wanted.ttlSeconds, life, wanted.until);
    if (!lifetime)
      throw new GatehouseError(
        'conflict',
        'lease.too-short',
        `Less than ${leaseLimits.minSeconds} s are left for a credential of ${wanted.provider}: its task or approval ends. Start another task.`,
      );
    const id = newId('lse', now);
    const row: LeaseRow = {
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
      clamped: JSON.stringify(lifetime.clamped),
      max_residual_seconds: provider.abilities.maxResidualSeconds,
      intended_at: now,
      making_until: now + leaseLimits.createMs,
      created_at: null,
      active_at: null,
      expires_at: lifetime.expiresAt,
      revoking_at: null,
      revoked_at: null,
      reason: null,
      attempts: 0,
      // Whoever finds it still intended then ends what may have been half made.
      next_try_at: now + leaseLimits.createMs,
      problem: null,
      sealed_credential: null,
      sealed_revocation: sealRevocation(sealer, id, declared, null),
    };
    await intend(row, [...guards, guard]);
    const order = {
      lease: id,
      name: nameOf(id),
      scope: wanted.scope,
      expiresAt: lifetime.expiresAt,
      agent: wanted.agent,
      task: wanted.task,
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
    const expiresAt = Math.min(made.expiresAt ?? lifetime.expiresAt, lifetime.expiresAt);
    const sealed = {
      sealed_credential: sealCredential(sealer, id, made),
      sealed_revocation: sealRevocation(sealer, id, declared, made.revocation),
    };
    const isThere = await storage.transaction(async (transaction) => {
      const at = clock.now();
      const updated = await transaction
        .updateTable('leases')
        .set({ ...sealed, state: 'created', created_at: at, expires_at: expiresAt, next_try_at: expiresAt })
        .where('id', '=', id)
        .where('state', '=', 'intended')
        .executeTakeFirst();
      if (updated.numUpdatedRows === 1n) return true;
      // Ended while it was being made: what ending it takes is known now, and it is ended once more.
      await transaction
        .updateTable('leases')
        .set({
          sealed_revocation: sealed.sealed_revocation,
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
      deps.wake();
      throw ended();
    }
    return remember({ ...row, ...sealed, state: 'created', expires_at: expiresAt }, made.credential);
  }

  async function intend(row: LeaseRow, guards: Guard[]): Promise<void> {
    await storage.transaction(async (transaction) => {
      const written = await storage.appendWithin(transaction, { guards, records: [], bodies: [] });
      if (!written.ok)
        throw new GatehouseError(
          'forbidden',
          'lease.stopped',
          'Agent, task or provider has changed meanwhile, so no credential is issued. Try again.',
        );
      const { count } = await transaction
        .selectFrom('leases')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('task', '=', row.task)
        .where('state', 'in', openStates)
        .executeTakeFirstOrThrow();
      if (Number(count) >= leaseLimits.perTask)
        throw new GatehouseError(
          'too-many',
          'lease.limit',
          `Task ${row.task} has ${count} credentials already, and no more than ${leaseLimits.perTask} at once.`,
        );
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
        changes: [
          `lease ${row.id} of ${row.provider} for ${row.purpose}${row.ungated ? ', ungated' : ''}`,
          `scope ${row.scope}`,
          `until ${new Date(row.expires_at).toISOString()}`,
        ],
      });
    });
  }

  /** Nobody knows whether it was made: it is ended as if it were. */
  async function failed(row: LeaseRow, error: unknown): Promise<void> {
    log.warn('a provider did not issue a credential', { provider: row.provider, lease: row.id, error });
    await storage.transaction((transaction) =>
      endWithin(transaction, { id: row.id }, 'gatehouse', 'it could not be issued'),
    );
    deps.wake();
  }

  function remember(row: LeaseRow, credential: Record<string, Secret>): Held {
    const { id, provider, expires_at: expiresAt } = row;
    const cached = {
      lease: { id, provider, expiresAt, name: nameOf(id) },
      credential,
      intendedAt: row.intended_at,
      agent: row.agent,
      task: row.task,
      holder: row.holder,
    };
    if (row.single_use === 0) held.set(row.holder, cached);
    return cached;
  }

  const endWithin: Leases['endWithin'] = (transaction, of, by, reason) => {
    const [[column, value]] = Object.entries(of) as [['id' | 'task' | 'agent' | 'provider', string]];
    return endThose(transaction, (where) => where(column, '=', value), by, reason);
  };

  async function endThose(
    transaction: DatabaseTransaction,
    those: (where: ExpressionBuilder<Tables, 'leases'>) => Expression<SqlBool>,
    by: string,
    reason: string,
  ): Promise<string[]> {
    const now = clock.now();
    const ended = await transaction
      .updateTable('leases')
      .set({
        state: 'revoking',
        revoking_at: now,
        next_try_at: now,
        reason: `${reason} (${by})`,
        sealed_credential: null,
      })
      .where(those)
      .where('state', 'in', ['intended', ...liveStates])
      .returning(['id', 'agent', 'task', 'provider', 'environment'])
      .execute();
    for (const { id, provider, ...row } of ended) {
      await recordChange(transaction, {
        operation: 'lease.revoke',
        by,
        ...about(row),
        changes: [`lease ${id} of ${provider} is being ended: ${reason}`],
      });
      await storage.announce(transaction, 'lease', id, now);
    }
    return ended.map(({ id }) => id);
  }

  async function openOf({ agent, ids }: { agent?: string; ids: readonly string[] }): Promise<LeaseRow[]> {
    const open = storage.db.selectFrom('leases').selectAll().where('state', 'in', openStates);
    return open
      .where((where) =>
        where.or([
          ...(agent === undefined ? [] : [where('agent', '=', agent)]),
          ...(ids.length > 0 ? [where('id', 'in', [...ids])] : []),
        ]),
      )
      .execute();
  }

  async function rowOf(id: string): Promise<LeaseRow> {
    const row = await storage.db.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirst();
    if (row) return row;
    throw new GatehouseError(
      'not-found',
      'lease.unknown',
      `There is no lease "${id}". \`gatehouse leases\` lists them.`,
    );
  }

  return {
    issue,
    async activate({ lease: { id, expiresAt } }) {
      if (expiresAt <= clock.now()) throw ended();
      if (active.has(id)) return;
      const isLive = await storage.transaction(async (transaction) => {
        const { numUpdatedRows } = await transaction
          .updateTable('leases')
          .set((update) => ({ state: 'active', active_at: update.fn.coalesce('active_at', update.val(clock.now())) }))
          .where('id', '=', id)
          .where('state', 'in', liveStates)
          .executeTakeFirst();
        return numUpdatedRows === 1n;
      });
      if (!isLive) throw ended();
      if ([...held.values()].some(({ lease }) => lease.id === id)) active.add(id);
    },
    endWithin,
    endOverWithin: (transaction, by, reason) =>
      endThose(
        transaction,
        (where) =>
          where('task', 'in', where.selectFrom('tasks').select('tasks.id').where('tasks.state', '<>', 'active')),
        by,
        reason,
      ),
    async settled(of, waitMs) {
      deps.wake();
      const giveUpAt = performance.now() + waitMs;
      let open = await openOf(of);
      while (open.length > 0 && performance.now() < giveUpAt) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        open = await openOf(of);
      }
      const now = clock.now();
      const residual = open.map(({ expires_at }) => Math.max(1, Math.ceil((expires_at - now) / 1_000)));
      return { open: open.length, residualSeconds: Math.max(0, ...residual) };
    },
    async openByProvider() {
      const rows = await storage.db
        .selectFrom('leases')
        .select(['provider', 'state', (select) => select.fn.countAll<number>().as('count')])
        .where('state', 'in', openStates)
        .groupBy(['provider', 'state'])
        .execute();
      const counts = new Map<string, { open: number; stuck: number }>();
      for (const { provider, state, count } of rows) {
        const { open, stuck } = counts.get(provider) ?? { open: 0, stuck: 0 };
        counts.set(provider, { open: open + Number(count), stuck: stuck + (state === 'stuck' ? Number(count) : 0) });
      }
      return counts;
    },
    async end(id, by, reason) {
      await rowOf(id);
      await storage.transaction((transaction) => endWithin(transaction, { id }, by, reason));
      deps.wake();
      return toLease(await rowOf(id));
    },
    get: async (id) => toLease(await rowOf(id)),
    async list({ agent, task, provider, state, open, before, limit }) {
      let query = storage.db
        .selectFrom('leases')
        .selectAll()
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (task !== undefined) query = query.where('task', '=', task);
      if (provider !== undefined) query = query.where('provider', '=', provider);
      if (state !== undefined) query = query.where('state', '=', state);
      if (open) query = query.where('state', 'in', openStates);
      if (before !== undefined) query = query.where('id', '<', before);
      const rows = await query.execute();
      const page = rows.slice(0, limit);
      return { leases: page.map(toLease), next: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
    },
    forget(of) {
      if ('id' in of) active.delete(of.id);
      for (const [holder, { lease, agent, task }] of held) {
        const isMeant = 'id' in of ? lease.id === of.id : 'task' in of ? task === of.task : agent === of.agent;
        if (!isMeant) continue;
        held.delete(holder);
        active.delete(lease.id);
      }
    },
  };
}
