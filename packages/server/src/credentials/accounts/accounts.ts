import type { CredentialProviderManifest, OAuthSource } from '@gatehouse/protocol';
import { type Clock, GatehouseError, type Log, type Outbound, type Secret } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { openPlace } from '../oauth/index.ts';
import { createAccountConsent, type OAuthProvider } from './consent.ts';
import { accountLimits } from './limits.ts';
import { revokeGrant } from './revoke.ts';
import { type AccountRow, bindingOf, createAccountStore, type SealedAccount } from './store.ts';
import { createAccountTokens } from './token.ts';
import type { Accounts } from './types.ts';

export interface AccountsDependencies {
  storage: Storage;
  registry: { snapshot(): Snapshot };
  sealer: Sealer;
  recordChange: RecordChange;
  openSecret(name: string, destination: string): Promise<Secret>;
  outbound: Outbound;
  /** Begins to end what was issued to this agent by this provider for tasks of this person. */
  endLeases(
    transaction: DatabaseTransaction,
    of: { provider: string; agent: string; user: string },
    by: string,
    reason: string,
  ): Promise<void>;
  clock: Clock;
  log: Log;
  publicUrl: string;
}

/** Accounts at other systems that people let agents use: who granted what to whom, and what renews it. */
export function createAccounts(deps: AccountsDependencies): Accounts {
  const { storage, registry, recordChange, outbound, clock, log, endLeases } = deps;
  const store = createAccountStore(deps);
  let isDirty = true;
  let sweptAt = 0;

  function find(name: string): OAuthProvider | undefined {
    const manifest = registry.snapshot().credentialProviders.get(name);
    return manifest?.from.type === 'oauth' && manifest.from.grant === 'consent'
      ? (manifest as CredentialProviderManifest & OAuthProvider)
      : undefined;
  }
  function declared(name: string): OAuthProvider {
    const manifest = find(name);
    if (manifest) return manifest;
    throw new GatehouseError(
      'not-found',
      'provider.unknown',
      `There is no provider "${name}" of accounts. \`gatehouse providers\` lists them.`,
    );
  }

  /** From now on nothing is given of it. */
  async function beginEnd(row: AccountRow, by: string, reason: string): Promise<void> {
    const { provider, agent, user_email: user } = row;
    await storage.transaction(async (transaction) => {
      const { numUpdatedRows } = await transaction
        .updateTable('accounts')
        .set({ state: 'ending', problem: null, attempts: 0, next_try_at: clock.now() })
        .where('id', '=', row.id)
        .where('state', '<>', 'ending')
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return;
      await recordChange(transaction, {
        operation: 'account.disconnect',
        by,
        agent,
        changes: [
          `account ${row.id} of ${user} at ${row.issuer} for ${agent} (${provider}) is disconnected: ${reason}`,
        ],
      });
      await endLeases(transaction, { provider, agent, user }, by, 'the account was disconnected');
    });
  }

  /** Whether it could be revoked there; undefined where another replica is at it, or it has to be tried again. */
  async function end(row: AccountRow): Promise<boolean | undefined> {
    if (!(await claimEnd(row))) return undefined;
    let revoked = false;
    try {
      const plain = store.open(row);
      const source = sourceOf(row, plain);
      if (source) {
        const place = await openPlace(source, outbound, accountLimits);
        revoked = await revokeGrant(deps, source, place, plain);
      }
    } catch (error) {
      const attempts = row.attempts + 1;
      const isFormer = sourceOf(row, store.open(row)) !== find(row.provider)?.from;
      if (isFormer && attempts >= accountLimits.formerAttempts) return forget(row, false);
      const wait = Math.min(accountLimits.retryFirstMs * 2 ** Math.min(row.attempts, 20), accountLimits.retryMostMs);
      log.warn('an account could not be revoked yet', { account: row.id, attempts, error });
      await storage.transaction(async (transaction) => {
        await transaction
          .updateTable('accounts')
          .set({ attempts, next_try_at: clock.now() + wait, problem: (error as Error).message.slice(0, 240) })
          .where('id', '=', row.id)
          .where('version', '=', row.version)
          .execute();
      });
      return undefined;
    }
    return forget(row, revoked);
  }

  /** INVARIANT: what was granted at one place is sent to no other, whatever the provider of that name is now. */
  function sourceOf({ provider }: AccountRow, { binding, source }: SealedAccount): OAuthSource | undefined {
    const now = find(provider)?.from;
    // Which tool servers it was for does not matter any more.
    return now && bindingOf({ ...now, for: source?.for ?? now.for }) === binding ? now : source;
  }

  /** False also where a renewal that came late has left something else to revoke. */
  function forget(row: AccountRow, revoked: boolean): Promise<boolean> {
    return storage.transaction(async (transaction) => {
      const { numDeletedRows } = await transaction
        .deleteFrom('accounts')
        .where('id', '=', row.id)
        .where('version', '=', row.version)
        .executeTakeFirst();
      if (numDeletedRows !== 1n) return false;
      await recordChange(transaction, {
        operation: 'account.revoked',
        by: 'gatehouse',
        agent: row.agent,
        changes: [
          `account ${row.id} of ${row.user_email} at ${row.issuer} is forgotten; ${revoked ? 'it was revoked there' : 'it could not be revoked there: its person takes it back there'}`,
        ],
      });
      return revoked;
    });
  }

  /** Not while it is renewed: what comes of that is what there is to revoke. */
  const claimEnd = (row: AccountRow): Promise<boolean> =>
    storage.transaction(async (transaction) => {
      const now = clock.now();
      const { numUpdatedRows } = await transaction
        .updateTable('accounts')
        .set({ next_try_at: now + accountLimits.renewalLeaseMs })
        .where('id', '=', row.id)
        .where('version', '=', row.version)
        .where('state', '=', 'ending')
        .where('renewing_until', '<', now)
        .where('next_try_at', '=', row.next_try_at)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    });

  function reasonToEnd({ user_email: user, agent, provider }: AccountRow): string | undefined {
    const { people, agents, credentialProviders } = registry.snapshot();
    if (!people.has(user)) return 'its person has left';
    const state = agents.get(agent)?.state;
    if (state === undefined || state === 'retired') return 'its agent is retired';
    return credentialProviders.has(provider) ? undefined : 'its provider is gone';
  }

  return {
    ...createAccountConsent(deps, store, declared),
    token: createAccountTokens(deps, store, declared),

    async list({ user, agent, visibleTo }) {
      let query = storage.db.selectFrom('accounts').selectAll().orderBy('id', 'desc').limit(1_000);
      if (user !== undefined) query = query.where('user_email', '=', user);
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (visibleTo)
        query = query.where((where) =>
          where.or([
            where('user_email', '=', visibleTo.user),
            ...(visibleTo.agents.length > 0 ? [where('agent', 'in', visibleTo.agents)] : []),
          ]),
        );
      return (await query.execute()).map(store.view);
    },

    async get(id) {
      const row = await store.row(id);
      return row && store.view(row);
    },

    async disconnect(id, by) {
      const row = await store.row(id);
      if (row) await beginEnd(row, by, 'as was asked for');
      const ending = row && (await store.row(id));
      const revoked = ending && (await end(ending));
      const left = await store.row(id);
      const underWay = left ? 'It is being renewed or revoked at this moment, and ends right after.' : null;
      return { id, revoked: revoked === true, problem: left?.problem ?? underWay };
    },

    async lifeSeconds(provider) {
      const { life } = await storage.db
        .selectFrom('accounts')
        .select((select) => select.fn.max('life_seconds').as('life'))
        .where('provider', '=', provider)
        .executeTakeFirstOrThrow();
      return Math.min(Number(life ?? accountLimits.usualTokenSeconds), accountLimits.tokenSeconds);
    },

    changed() {
      isDirty = true;
    },

    async unrevoked() {
      const rows = await storage.db
        .selectFrom('accounts')
        .select(['provider', (select) => select.fn.countAll<number>().as('count')])
        .where('state', '=', 'ending')
        .where('problem', 'is not', null)
        .groupBy('provider')
        .orderBy('provider')
        .execute();
      return rows.map(({ provider, count }) => ({ provider, count: Number(count) }));
    },

    async sweep() {
      if (isDirty || clock.now() - sweptAt > accountLimits.sweepMs) {
        isDirty = false;
        sweptAt = clock.now();
        const rows = await storage.db.selectFrom('accounts').selectAll().where('state', '<>', 'ending').execute();
        for (const row of rows) {
          const reason = reasonToEnd(row);
          if (reason !== undefined) await beginEnd(row, 'gatehouse', reason);
        }
      }
      const due = await storage.db
        .selectFrom('accounts')
        .selectAll()
        .where('state', '=', 'ending')
        .where('next_try_at', '<=', clock.now())
        .limit(50)
        .execute();
      for (const row of due) await end(row);
    },
  };
}
