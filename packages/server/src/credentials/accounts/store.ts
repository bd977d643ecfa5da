import { type AccountView, credentialDestinations, type OAuthSource } from '@gatehouse/protocol';
import type { Selectable } from 'kysely';
import { type Clock, digestJson, newId, Secret } from '../../platform/index.ts';
import type { DatabaseTransaction, Sealer, Storage, Tables } from '../../storage/index.ts';
import { baseOf, revokesAll } from '../oauth/index.ts';
import { accountLimits } from './limits.ts';
import type { Whose } from './types.ts';

export type AccountRow = Selectable<Tables['accounts']>;

/** What renews the access. `token`: one that serves several tasks, where the system gives no more. */
export interface SealedAccount {
  binding: string;
  /** As the manifest was then: where it is revoked. Undefined in what was connected by an earlier version. */
  source?: OAuthSource;
  refreshToken: string;
  token: { value: string; expiresAt: number } | null;
}

/** Where alone tokens of it go. */
export const destinationsOf = (source: OAuthSource): string[] => [...(credentialDestinations(source) ?? [])].sort();

/** What it was granted for: another authorization server, client or tool server is another matter, and gets nothing of it. */
export const bindingOf = (source: OAuthSource): string => {
  const { system, issuer = null, endpoints = null, clientId, resource = null } = source;
  const at = { system, base: baseOf(source), issuer, endpoints, clientId, resource };
  return digestJson({ ...at, for: destinationsOf(source) } as never);
};

/** Whose it is is sealed with it: who edits the table gives nobody another's. */
const contextOf = ({
  id,
  provider,
  agent,
  user_email,
  scopes,
}: Pick<AccountRow, 'id' | 'provider' | 'agent' | 'user_email' | 'scopes'>) =>
  `account:${JSON.stringify([id, provider, agent, user_email, scopes])}`;

export type AccountStore = ReturnType<typeof createAccountStore>;

export function createAccountStore({ storage, sealer, clock }: { storage: Storage; sealer: Sealer; clock: Clock }) {
  const seal = (row: Parameters<typeof contextOf>[0], plain: SealedAccount) =>
    sealer.seal(new Secret(JSON.stringify(plain)), contextOf(row));

  const open = (row: AccountRow): SealedAccount =>
    JSON.parse(sealer.open(row.sealed, contextOf(row)).reveal()) as SealedAccount;

  return {
    seal,
    open,

    /** For people. One that somebody has changed in the table opens no more, and is still shown. */
    view(row: AccountRow): AccountView {
      let source: OAuthSource | undefined;
      try {
        source = open(row).source;
      } catch {
        // Whoever uses it or ends it says what is wrong.
      }
      return {
        id: row.id,
        provider: row.provider,
        agent: row.agent,
        user: row.user_email,
        scopes: row.scopes.split(' '),
        state: row.state as AccountView['state'],
        problem: row.problem,
        issuer: row.issuer,
        destinations: source ? destinationsOf(source) : null,
        connectedAt: row.connected_at,
        lastUsedAt: row.last_used_at,
      };
    },

    of: ({ provider, agent, user }: Whose): Promise<AccountRow[]> =>
      storage.db
        .selectFrom('accounts')
        .selectAll()
        .where('provider', '=', provider)
        .where('agent', '=', agent)
        .where('user_email', '=', user)
        .where('state', '<>', 'ending')
        .execute(),

    row: (id: string): Promise<AccountRow | undefined> =>
      storage.db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst(),

    count: async (user: string): Promise<number> => {
      const { count } = await storage.db
        .selectFrom('accounts')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where('user_email', '=', user)
        .executeTakeFirstOrThrow();
      return Number(count);
    },

    /** After a person's consent. The one that there was for the same is replaced, and revoked unless that would take this one back as well. */
    async put(
      transaction: DatabaseTransaction,
      { provider, agent, user }: Whose,
      {
        scopes,
        issuer,
        lifeSeconds,
        ...plain
      }: SealedAccount & { source: OAuthSource; scopes: string[]; issuer: string; lifeSeconds: number | null },
    ): Promise<string> {
      const now = clock.now();
      const names = { id: newId('acc', now), provider, agent, user_email: user, scopes: [...scopes].sort().join(' ') };
      const former = await transaction
        .selectFrom('accounts')
        .selectAll()
        .where('provider', '=', provider)
        .where('agent', '=', agent)
        .where('user_email', '=', user)
        .where('scopes', '=', names.scopes)
        .where('state', '<>', 'ending')
        .execute();
      for (const row of former) {
        if (revokesAll(open(row).source ?? plain.source))
          await transaction.deleteFrom('accounts').where('id', '=', row.id).execute();
        else
          await transaction
            .updateTable('accounts')
            .set({ state: 'ending', problem: null, attempts: 0, next_try_at: now })
            .where('id', '=', row.id)
            .execute();
      }
      await transaction
        .insertInto('accounts')
        .values({
          ...names,
          ...{ issuer, state: 'connected', problem: null, sealed: seal(names, plain), version: 1, renewing_until: 0 },
          ...{ life_seconds: lifeSeconds, connected_at: now, last_used_at: null, attempts: 0, next_try_at: null },
        })
        .execute();
      return names.id;
    },

    /** True for the one that may renew this version now. */
    claim: (row: AccountRow): Promise<boolean> =>
      storage.transaction(async (transaction) => {
        const now = clock.now();
        const { numUpdatedRows } = await transaction
          .updateTable('accounts')
          .set({ renewing_until: now + accountLimits.renewalLeaseMs })
          .where('id', '=', row.id)
          .where('version', '=', row.version)
          .where('state', '=', 'connected')
          .where('renewing_until', '<', now)
          .executeTakeFirst();
        return numUpdatedRows === 1n;
      }),

    /** Nothing came of it: the next may try at once. */
    release: (row: AccountRow): Promise<void> =>
      storage.transaction(async (transaction) => {
        await transaction
          .updateTable('accounts')
          .set({ renewing_until: 0 })
          .where('id', '=', row.id)
          .where('version', '=', row.version)
          .execute();
      }),

    /** Durable before what was renewed is used. `late`: it was disconnected meanwhile, and whoever ends it ends this. `gone`: nobody will. */
    renewed: (row: AccountRow, plain: SealedAccount, lifeSeconds: number): Promise<'kept' | 'late' | 'gone'> =>
      storage.transaction(async (transaction) => {
        const now = clock.now();
        const renew = async (state: AccountView['state'], more: Partial<AccountRow>) => {
          const { numUpdatedRows } = await transaction
            .updateTable('accounts')
            .set({ sealed: seal(row, plain), version: row.version + 1, renewing_until: 0, ...more })
            .where('id', '=', row.id)
            .where('version', '=', row.version)
            .where('state', '=', state)
            .executeTakeFirst();
          return numUpdatedRows === 1n;
        };
        if (await renew('connected', { life_seconds: lifeSeconds, last_used_at: now })) return 'kept';
        if (await renew('ending', { next_try_at: now, attempts: 0 })) return 'late';
        const left = await transaction.selectFrom('accounts').select('id').where('id', '=', row.id).executeTakeFirst();
        return left ? 'late' : 'gone';
      }),
  };
}
