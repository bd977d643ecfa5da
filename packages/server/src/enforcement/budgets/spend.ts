import type { BudgetManifest, ResultClass } from '@gatehouse/protocol';
import { canonicalJson, type Json, sha256Hex } from '../../platform/index.ts';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import type { CounterSpend, CounterWindow, Settle, Spend } from '../../storage/index.ts';
import type { Action } from '../types.ts';
import type { Reason } from '../who.ts';
import { readAmount } from './amount.ts';
import { folded, keyTexts, valuesAt } from './arguments-at.ts';
import { calendarWindow } from './calendar-window.ts';
import { counterPrefix } from './counter-prefix.ts';
import { type Covering, coveringOf } from './covering.ts';
import { budgetLimits } from './limits.ts';

/** What a call counts, and on which budgets. */
export interface Wanted {
  spend: Spend;
  budgets: ReadonlyMap<string, BudgetManifest>;
}

/**
 * What this call would count. Null: no budget covers it. A reason: it can't be told how much it is, or for whom, and so it is refused.
 * Whoever handed the task on is counted for as well: handing on makes no new budget.
 */
export function wantedOf(
  snapshot: Snapshot,
  action: Action,
  tool: RegisteredTool,
  actionId: string,
  now: number,
): Wanted | Reason | null {
  const covering = coveringOf(snapshot, tool).filter(({ budget }) => concerns(budget, action));
  if (covering.length === 0) return null;
  const foreign = foreignCurrency(covering, action.arguments, tool);
  if (foreign) return foreign;
  const counters: CounterSpend[] = [];
  for (const each of covering) {
    const spends = countersOf(snapshot, each, action, tool, now);
    if ('code' in spends) return spends;
    counters.push(...spends);
  }
  if (counters.length > budgetLimits.countersPerCall)
    return {
      code: 'budget.too-many',
      reason: `This call counts on ${counters.length} counters of budgets at once, and ${budgetLimits.countersPerCall} are the most. Send less at once.`,
    };
  // What refuses comes before what asks.
  const budgets = new Map(covering.map(({ budget }) => [budget.name, budget]));
  const asks = ({ budget }: CounterSpend) => Number(budgets.get(budget)?.over === 'approval');
  return { spend: { actionId, now, counters: counters.sort((a, b) => asks(a) - asks(b)) }, budgets };
}

/** What the dispatch writes: who was asked may go beyond the budgets that ask. */
export function spendOf({ spend, budgets }: Wanted, actionId: string, isApproved: boolean): Spend {
  const counters = spend.counters.map((each) => ({
    ...each,
    evenOver: isApproved && budgets.get(each.budget)?.over === 'approval',
  }));
  return { ...spend, actionId, counters };
}

/** What the outcome writes. What was surely not sent counts no more, nor what failed where the operator says that nothing happened then. */
export function settleOf(
  { spend, budgets }: Wanted,
  actionId: string,
  now: number,
  result: ResultClass | 'not-sent',
): { settle: Settle; changes: string[] } {
  const given = spend.counters.filter(
    ({ budget }) => result === 'not-sent' || (result === 'failure' && budgets.get(budget)?.giveBackOnFailure),
  );
  const counters = spend.counters.map(({ counter }) => counter);
  return {
    settle: {
      actionId,
      now,
      counters,
      giveBack: given.map(({ counter }) => counter),
      ...(result === 'unknown' && { keep: true }),
    },
    changes: [...new Set(given.map(({ budget }) => budget))].map((budget) => `counts no more on budget ${budget}`),
  };
}

function concerns({ templates, agents, environments }: BudgetManifest, { caller }: Action): boolean {
  const tasks = [caller.task, ...caller.chain.map(({ task }) => task)];
  if (environments && !environments.includes(caller.task.environment)) return false;
  if (templates && !tasks.some(({ template }) => templates.includes(template))) return false;
  return !agents || tasks.some(({ agent }) => agents.includes(agent));
}

const PER_TASK: Covering['keys'][number] = { key: 'task', path: null };

/** A call in a currency that no budget is for would be counted by none. */
function foreignCurrency(covering: readonly Covering[], args: Json, tool: RegisteredTool): Reason | undefined {
  const having = covering.filter(({ currency }) => currency !== null);
  if (having.length === 0 || having.some((each) => isOwnCurrency(each, args))) return undefined;
  const taken = [...new Set(having.map(({ budget }) => budget.limit.sum?.currency?.is))].join(' or ');
  return {
    code: 'budget.unreadable',
    reason: `${having.map(({ budget }) => `Budget ${budget.name}`).join(', ')}: it counts amounts of ${tool.ref} in ${taken}, and this call is in another currency or names none ("${having[0]?.budget.limit.sum?.currency?.argument}"). Nothing was sent.`,
  };
}

function isOwnCurrency({ budget, currency }: Covering, args: Json): boolean {
  if (currency === null) return true;
  const is = folded(budget.limit.sum?.currency?.is ?? '');
  const given = valuesAt(args, currency);
  return !!given && given.length > 0 && given.every((value) => typeof value === 'string' && folded(value) === is);
}

function countersOf(
  snapshot: Snapshot,
  covering: Covering,
  action: Action,
  tool: RegisteredTool,
  now: number,
): CounterSpend[] | Reason {
  const { budget } = covering;
  const unreadable = (what: string): Reason => ({
    code: 'budget.unreadable',
    reason: `Budget ${budget.name} covers ${tool.ref}, and ${what}, so that the call can't be counted. Nothing was sent. Correct the arguments and call again.`,
  });
  if (covering.problem) return unreadable(covering.problem.message);
  const { count, items, sum, concurrent } = budget.limit;
  const args = action.arguments;

  const elements = covering.items && valuesAt(args, covering.items);
  if (covering.items && !elements) return unreadable(`"${covering.items.join('.')}" is missing`);
  const amounts = covering.sum && isOwnCurrency(covering, args) ? valuesAt(args, covering.sum) : [];
  const read = amounts?.map((amount) => readAmount(amount));
  if (!read || read.includes(null))
    return unreadable(
      `"${covering.sum?.join('.')}" is no amount (a number like 40 or 40.00, not negative, below 9,000,000,000)`,
    );
  const total = read.reduce<number>((all, amount) => all + (amount ?? 0), 0);

  const parts: { text: string; label: string }[][] = [];
  const isPerTask = budget.window === 'task' && !budget.per.includes('task');
  for (const { key, path } of [...(isPerTask ? [PER_TASK] : []), ...covering.keys]) {
    if (typeof key === 'string') {
      parts.push(holdersOf(snapshot, key, action).map((text) => ({ text, label: `${key} ${text || '(none)'}` })));
      continue;
    }
    const texts = path && keyTexts(args, path, key.compare);
    if (!texts) return unreadable(`"${path?.join('.')}", by which it counts apart, is missing or no plain value`);
    const name = path?.join('.') ?? '';
    parts.push(texts.map((text) => ({ text, label: `${name} ${shown(text) || '(none)'}` })));
  }
  if (parts.reduce((product, part) => product * part.length, 1) > budgetLimits.countersPerCall)
    return {
      code: 'budget.too-many',
      reason: `Budget ${budget.name}: this call is for more than ${budgetLimits.countersPerCall} at once. Send less at once.`,
    };

  const { task } = action.caller;
  const prefix = counterPrefix(budget);
  return product(parts).map((combination) => ({
    counter: prefix + sha256Hex(canonicalJson(combination.map(({ text }) => text))),
    budget: budget.name,
    label: combination.map(({ label }) => label).join(', '),
    window: windowOf(budget, action, now),
    amounts: {
      count: 1,
      items: elements ? elements.reduce<number>((n, each) => n + (Array.isArray(each) ? each.length : 1), 0) : 0,
      sum: Math.min(total, Number.MAX_SAFE_INTEGER),
    },
    limits: {
      count: count ?? null,
      items: items?.max ?? null,
      sum: sum ? readAmount(sum.max) : null,
      concurrent: concurrent ?? null,
    },
    evenOver: false,
    // No call outlives its task.
    leaseUntil: task.expiresAt,
  }));
}

/** A task that was handed on is counted for everybody in its chain. */
function holdersOf(snapshot: Snapshot, key: string, { caller }: Action): string[] {
  const tasks = [caller.task, ...caller.chain.map(({ task }) => task)];
  const agents = [caller.agent, ...caller.chain.map(({ agent }) => agent)];
  const all = {
    task: () => tasks.map(({ id }) => id),
    agent: () => agents,
    template: () => tasks.map(({ template }) => template),
    user: () => [caller.task.user ?? ''],
    owner: () => agents.map((agent) => snapshot.agents.get(agent)?.manifest.owner ?? ''),
    environment: () => [caller.task.environment],
  };
  return [...new Set(all[key as keyof typeof all]())];
}

function windowOf({ window, zone }: BudgetManifest, { caller }: Action, now: number): CounterWindow {
  if (window === undefined) return null;
  if (typeof window === 'object') return { rollingMs: window.seconds * 1_000 };
  if (window !== 'task') return calendarWindow(window, zone, now);
  return { start: 0, end: Math.max(...[caller, ...caller.chain].map(({ task }) => task.expiresAt)) };
}

function product<T>(parts: T[][]): T[][] {
  return parts.reduce<T[][]>((all, part) => all.flatMap((some) => part.map((each) => [...some, each])), [[]]);
}

function shown(text: string): string {
  const short = text.slice(0, budgetLimits.shownValueChars).toWellFormed();
  return short.length < text.length ? `${short}…` : short;
}
