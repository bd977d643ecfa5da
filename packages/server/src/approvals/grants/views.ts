import type { GrantTerms, StandingGrant } from '@gatehouse/protocol';
import { parseState, usedOf } from '../../storage/index.ts';
import type { ApprovalSubject } from '../types.ts';
import { counterOf, type GrantRow, toGrant } from './rows.ts';
import type { GrantDependencies, StandingGrants } from './types.ts';

const PAGE_LIMIT = 200;

/** Grants as people see them, with what they have covered. */
export function createViews({ storage, registry, clock }: Pick<GrantDependencies, 'storage' | 'registry' | 'clock'>) {
  async function show(rows: GrantRow[]): Promise<StandingGrant[]> {
    if (rows.length === 0) return [];
    const counters = await storage.db
      .selectFrom('budget_counters')
      .select(['id', 'state'])
      .where(
        'id',
        'in',
        rows.map(({ id }) => counterOf(id)),
      )
      .execute();
    const states = new Map(counters.map(({ id, state }) => [id, parseState(state)]));
    const tasks = await storage.db
      .selectFrom('tasks')
      .select(['id', 'state'])
      .where('id', 'in', [...new Set(rows.map(({ task }) => task))])
      .execute();
    const active = new Set(tasks.filter(({ state }) => state === 'active').map(({ id }) => id));
    const { agents } = registry.snapshot();
    return rows.map((row) => {
      const state = states.get(counterOf(row.id));
      const { agentEpoch } = JSON.parse(row.subject) as ApprovalSubject;
      const { sum } = JSON.parse(row.terms) as GrantTerms;
      const agent = agents.get(row.agent);
      return toGrant(row, clock.now(), {
        used: state ? usedOf(state, 'count') : 0,
        usedSum: sum ? String((state ? usedOf(state, 'sum') : 0) / 1_000_000) : null,
        environment: agent?.manifest.environment ?? '',
        isOver: !active.has(row.task) || agent?.state !== 'active' || agent.epoch !== agentEpoch,
      });
    });
  }

  async function get(id: string): Promise<StandingGrant | undefined> {
    const row = await storage.db.selectFrom('standing_grants').selectAll().where('id', '=', id).executeTakeFirst();
    return row && (await show([row]))[0];
  }

  const list: StandingGrants['list'] = async ({ agent, task, inForce, before, limit }) => {
    let query = storage.db.selectFrom('standing_grants').selectAll();
    if (agent !== undefined) query = query.where('agent', '=', agent);
    if (task !== undefined) query = query.where('task', '=', task);
    if (before !== undefined) query = query.where('id', '<', before);
    if (inForce) query = query.where('ended_at', 'is', null).where('expires_at', '>', clock.now());
    const rows = await query.orderBy('id', 'desc').limit(Math.min(limit, PAGE_LIMIT)).execute();
    return show(rows);
  };

  return { show, get, list };
}
