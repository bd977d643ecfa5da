import type { LeaseView } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { type LeaseRow, toLease } from './rows.ts';
import { openStates } from './types.ts';

export interface LeaseFilter {
  agent?: string;
  /** Only of these. */
  agents?: readonly string[];
  ids?: readonly string[];
  task?: string;
  provider?: string;
  state?: string;
  /** Only what a provider may know. */
  open?: boolean;
  /** Only what was handed out. */
  ungated?: boolean;
  before?: string;
  limit: number;
}

export const unknownLease = (id: string): GatehouseError =>
  new GatehouseError('not-found', 'lease.unknown', `There is no lease "${id}". \`gatehouse leases\` lists them.`);

/** What there is, for people and for what waits for its end. */
export function createFinding({ db }: Storage) {
  async function rowOf(id: string): Promise<LeaseRow> {
    const row = await db.selectFrom('leases').selectAll().where('id', '=', id).executeTakeFirst();
    if (row) return row;
    throw unknownLease(id);
  }

  return {
    rowOf,
    get: async (id: string): Promise<LeaseView> => toLease(await rowOf(id)),

    async list({
      agent,
      agents,
      ids,
      task,
      provider,
      state,
      open,
      ungated,
      before,
      limit,
    }: LeaseFilter): Promise<{ leases: LeaseView[]; next: string | null }> {
      let query = db
        .selectFrom('leases')
        .selectAll()
        .orderBy('id', 'desc')
        .limit(limit + 1);
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (agents) query = query.where('agent', 'in', agents.length > 0 ? [...agents] : ['']).where('agent', '<>', '');
      if (ids) query = query.where('id', 'in', ids.length > 0 ? [...ids] : ['']);
      if (task !== undefined) query = query.where('task', '=', task);
      if (provider !== undefined) query = query.where('provider', '=', provider);
      if (state !== undefined) query = query.where('state', '=', state);
      if (open) query = query.where('state', 'in', openStates);
      if (ungated) query = query.where('ungated', '=', 1);
      if (before !== undefined) query = query.where('id', '<', before);
      const rows = await query.execute();
      const page = rows.slice(0, limit);
      return { leases: page.map(toLease), next: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
    },

    /** A provider may know them: those of an agent, and these. */
    async openOf({ agent, ids }: { agent?: string; ids: readonly string[] }): Promise<LeaseRow[]> {
      const open = db.selectFrom('leases').selectAll().where('state', 'in', openStates);
      return open
        .where((where) =>
          where.or([
            ...(agent === undefined ? [] : [where('agent', '=', agent)]),
            ...(ids.length > 0 ? [where('id', 'in', [...ids])] : []),
          ]),
        )
        .execute();
    },

    /** By provider, with when the first attempt of the oldest failed: people are to be told. */
    async stuck(): Promise<{ provider: string; count: number; since: number }[]> {
      const rows = await db
        .selectFrom('leases')
        .select((select) => [
          'provider',
          select.fn.countAll<number>().as('count'),
          select.fn.min('failing_since').as('since'),
        ])
        .where('state', '=', 'stuck')
        .groupBy('provider')
        .orderBy('provider')
        .execute();
      return rows.map(({ provider, count, since }) => ({ provider, count: Number(count), since: Number(since) }));
    },

    async openByProvider(): Promise<Map<string, { open: number; stuck: number }>> {
      const rows = await db
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
  };
}
