import { GatehouseError, type Json, Secret } from '../../platform/index.ts';
import { NotMade, type Order, type Provider } from '../leases/types.ts';

/** As `narrow` of what leases are opened with. */
export function narrowToTables(asked: Json): Json {
  const wanted = (asked as { tables?: string[] }).tables ?? ['orders', 'refunds'];
  const foreign = wanted.find((table) => !['orders', 'refunds'].includes(table));
  if (foreign !== undefined)
    throw new GatehouseError('forbidden', 'lease.scope', `This provider issues no ${foreign}.`);
  return { tables: wanted } as Json;
}

/** A fake: accounts in memory, which fails where a test wants it to. */
export function createFakeProvider() {
  const accounts = new Map<string, Order>();
  const counts = { created: 0, renewed: 0, revoked: 0 };
  const trouble: {
    /** `after`: the account is there, and nobody hears of it. */
    create?: 'before' | 'after' | 'refused';
    /** What nobody heard of can't be ended: it has an end of its own, so long after it could be made at the latest. */
    unheardLivesMs?: number;
    renew?: 'after';
    /** Not reachable at all. */
    away?: boolean;
    now?(): number;
    /** Throws for accounts that can't be ended, or waits with them. */
    revoke?(name: string): Promise<void>;
    /** Resolves when the account may be made. */
    hold?: Promise<void>;
  } = {};
  const provider: Provider = {
    findsByName: true,
    abilities: { canNarrow: true, canRevoke: true, canEndSessions: false, maxResidualSeconds: 0 },
    async create(order) {
      if (trouble.away || trouble.create === 'before') throw new Error('connect ECONNREFUSED');
      if (trouble.create === 'refused') throw new NotMade('upstream', 'provider.refused', 'No such table.');
      await trouble.hold;
      accounts.set(order.name, order);
      counts.created++;
      if (trouble.create === 'after') throw new Error('socket hang up');
      return {
        credential: { username: new Secret(order.name), password: new Secret(`CANARY-${order.name}`) },
        revocation: { name: order.name },
      };
    },
    async renew({ name }, expiresAt) {
      if (trouble.away) throw new Error('connect ECONNREFUSED');
      const account = accounts.get(name);
      if (!account) throw new Error('there is no such account');
      accounts.set(name, { ...account, expiresAt });
      counts.renewed++;
      if (trouble.renew === 'after') throw new Error('socket hang up');
      return {};
    },
    async revoke({ name, revocation, makingUntil }) {
      if (trouble.away) throw new Error('connect ECONNREFUSED');
      await trouble.revoke?.(name);
      const until = makingUntil + (trouble.unheardLivesMs ?? 0);
      if (revocation === null && trouble.unheardLivesMs !== undefined && (trouble.now?.() ?? 0) < until)
        return { until, why: 'nobody can find it' };
      accounts.delete(name);
      counts.revoked++;
      return undefined;
    },
    async check() {
      if (trouble.away) throw new Error('connect ECONNREFUSED');
    },
    async close() {},
  };
  return { provider, accounts, counts, trouble };
}
