import type { BudgetCounter, BudgetDetail, BudgetManifest, BudgetView } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import {
  advance,
  type CounterWindow,
  type OverBudget,
  parseState,
  type Spend,
  type Storage,
  type Tables,
  usedOf,
  wouldBeOver,
} from '../../storage/index.ts';
import { findRegistered, isRefusal } from '../subject.ts';
import { showAmount } from './amount.ts';
import { calendarWindow } from './calendar-window.ts';
import { counterPrefix } from './counter-prefix.ts';
import { coveringOf } from './covering.ts';
import { limitInWords, limitsOf } from './words.ts';

export interface Budgets {
  /** Whether a call would fit now, for whom a person is about to be asked; the dispatch alone decides. */
  over(spend: Spend): Promise<OverBudget | undefined>;
  list(page: { after?: string | undefined; limit: number }): Promise<{ budgets: BudgetView[]; cursor: string | null }>;
  show(name: string, page: { cursor?: string | undefined; limit: number }): Promise<BudgetDetail>;
  /** Those that a call of this tool may count on, for who is asked about one. */
  covering(of: { tool: string; agent: string; template: string; environment: string }): Promise<BudgetView[]>;
  /** Removes what no window holds any more. */
  sweep(): Promise<void>;
}

type Row = Tables['budget_counters'];
/** To who is asked about a call. */
const SHOWN_AT_ONCE = 10;

export function createBudgets({
  storage: { db },
  registry,
  clock,
}: {
  storage: Storage;
  registry: Pick<Registry, 'snapshot'>;
  clock: Clock;
}): Budgets {
  const countersOf = (budget: BudgetManifest, now: number) =>
    db
      .selectFrom('budget_counters')
      .where('budget', '=', budget.name)
      .where('id', 'like', `${counterPrefix(budget)}%`)
      .where('expires_at', '>', now);
  const fullestFirst = (budget: BudgetManifest, now: number) =>
    countersOf(budget, now).selectAll().orderBy('used', 'desc').orderBy('id');

  async function viewOf(budget: BudgetManifest): Promise<BudgetView> {
    const now = clock.now();
    const { counters } = await countersOf(budget, now)
      .select((select) => select.fn.countAll<number>().as('counters'))
      .executeTakeFirstOrThrow();
    const fullest = await fullestFirst(budget, now).limit(1).executeTakeFirst();
    return {
      name: budget.name,
      description: budget.description ?? null,
      limit: limitInWords(budget),
      over: budget.over,
      counters: Number(counters),
      fullest: fullest ? fullestOf(budget, fullest, now) : 0,
    };
  }

  return {
    async over(spend) {
      const ids = spend.counters.map(({ counter }) => counter);
      const rows = await db.selectFrom('budget_counters').select(['id', 'state']).where('id', 'in', ids).execute();
      const states = new Map(rows.map(({ id, state }) => [id, state]));
      return wouldBeOver(spend, (counter) => states.get(counter));
    },
    async list({ after, limit }) {
      const all = [...registry.snapshot().budgets.values()]
        .filter(({ name }) => after === undefined || name > after)
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      const page = all.slice(0, limit);
      return {
        budgets: await Promise.all(page.map(viewOf)),
        cursor: all.length > page.length ? (page.at(-1)?.name ?? null) : null,
      };
    },
    async show(name, { cursor, limit }) {
      const budget = registry.snapshot().budgets.get(name);
      if (!budget)
        throw new GatehouseError(
          'not-found',
          'budget.unknown',
          `There is no budget "${name}". \`gatehouse budget list\` shows those that there are.`,
        );
      const now = clock.now();
      const [used, id] = placeOf(cursor);
      const rows = await fullestFirst(budget, now)
        .where(({ or, and, eb }) => or([eb('used', '<', used), and([eb('used', '=', used), eb('id', '>', id)])]))
        .limit(limit + 1)
        .execute();
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      return {
        ...(await viewOf(budget)),
        manifest: budget,
        items: page.map((row) => counterOf(budget, row, now)),
        cursor: rows.length > page.length && last ? `${last.used}.${last.id}` : null,
      };
    },
    async covering({ tool: ref, agent, template, environment }) {
      const snapshot = registry.snapshot();
      const [, server = '', separator, name = ''] = /^([^/#]+)([/#])(.+)$/.exec(ref) ?? [];
      const of = { server, task: { environment, template }, name, isFeature: separator === '#' };
      const tool = findRegistered(snapshot, of);
      const allows = (names: readonly string[] | undefined, one: string) => names === undefined || names.includes(one);
      const covering = (isRefusal(tool) ? [] : coveringOf(snapshot, tool)).filter(
        ({ budget }) =>
          allows(budget.agents, agent) &&
          allows(budget.templates, template) &&
          allows(budget.environments, environment),
      );
      return Promise.all(covering.slice(0, SHOWN_AT_ONCE).map(({ budget }) => viewOf(budget)));
    },
    async sweep() {
      const now = clock.now();
      await db.deleteFrom('budget_counters').where('expires_at', '<=', now).execute();
      await db.deleteFrom('budget_spends').where('expires_at', '<=', now).execute();
    },
  };
}

function placeOf(cursor: string | undefined): [number, string] {
  if (cursor === undefined) return [Number.MAX_SAFE_INTEGER, ''];
  const [, used, id] = /^(\d{1,15})\.([0-9a-f]{32}-[0-9a-f]{64})$/.exec(cursor) ?? [];
  if (used === undefined || id === undefined)
    throw new GatehouseError(
      'bad-request',
      'request.invalid',
      'This is not the cursor of a page of counters. Begin without one.',
    );
  return [Number(used), id];
}

function stateNow(budget: BudgetManifest, row: Row, now: number) {
  return advance(parseState(row.state), windowNow(budget, row, now), now);
}

function windowNow({ window, zone }: BudgetManifest, row: Row, now: number): CounterWindow {
  if (window === undefined) return null;
  if (typeof window === 'object') return { rollingMs: window.seconds * 1_000 };
  return window === 'task' ? { start: 0, end: row.expires_at } : calendarWindow(window, zone, now);
}

function fullestOf(budget: BudgetManifest, row: Row, now: number): number {
  const state = stateNow(budget, row, now);
  return Math.max(
    ...limitsOf(budget.limit).map(([limit, max]) => Math.round((100 * usedOf(state, limit)) / Math.max(1, max))),
  );
}

function counterOf(budget: BudgetManifest, row: Row, now: number): BudgetCounter {
  const state = stateNow(budget, row, now);
  const window = windowNow(budget, row, now);
  const { sum } = budget.limit;
  const shown = (limit: string, amount: number) =>
    limit === 'sum' ? showAmount(amount, sum?.decimals ?? 0, null) : String(amount);
  return {
    for: row.label,
    used: limitsOf(budget.limit).map(([limit, max]) => ({
      limit,
      used: shown(limit, usedOf(state, limit)),
      of: shown(limit, max),
      unit: { count: 'calls', items: 'items', sum: sum?.currency?.is ?? '', concurrent: 'at once' }[limit],
    })),
    until: window !== null && 'end' in window ? new Date(window.end).toISOString() : null,
  };
}
