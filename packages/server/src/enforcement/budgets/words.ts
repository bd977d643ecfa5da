import type { BudgetLimit, BudgetManifest, BudgetWindow, Decision, Tier } from '@gatehouse/protocol';
import type { Limited, OverBudget } from '../../storage/index.ts';
import { readAmount, showAmount } from './amount.ts';
import type { Wanted } from './spend.ts';

/** The number of one limit as people read it: `480.00 EUR`, `12 calls`. */
function amountInWords({ limit: { sum } }: BudgetManifest, limit: Limited, amount: number): string {
  if (limit === 'sum') return showAmount(amount, sum?.decimals ?? 0, sum?.currency?.is ?? null);
  const [one, many] = {
    count: ['call', 'calls'],
    items: ['item', 'items'],
    concurrent: ['call at once', 'calls at once'],
  }[limit];
  return `${amount} ${amount === 1 ? one : many}`;
}

/** `Budget refunds: 480.00 of 500.00 EUR used today for customer 17; this call needs 40.00. It starts again at 2026-11-28 00:00 Europe/Berlin.` */
function overInWords(budget: BudgetManifest, over: OverBudget): string {
  const { limit } = over;
  const shown = (amount: number) => amountInWords(budget, limit, amount);
  const bare = (amount: number) => shown(amount).split(' ')[0];
  const whose = over.label && ` for ${over.label}`;
  const when = limit === 'concurrent' ? ' now' : windowInWords(budget.window);
  const head = `Budget ${budget.name}: ${bare(over.used)} of ${shown(over.max)} used${when}${whose}; this call needs ${bare(over.needs)}.`;
  if (over.needs > over.max) return `${head} That is more than the whole budget.`;
  if (limit === 'concurrent') return `${head} Call again when one of those that run has ended.`;
  if (over.frees === null || budget.window === 'task') return `${head} It does not start again in this task.`;
  const at = localTime(over.frees, budget.zone);
  return typeof budget.window === 'object' ? `${head} There is room from ${at}.` : `${head} It starts again at ${at}.`;
}

function windowInWords(window: BudgetWindow | undefined): string {
  if (window === undefined) return '';
  if (typeof window === 'object') return ` in the last ${window.seconds} s`;
  return { hour: ' this hour', day: ' today', week: ' this week', month: ' this month', task: ' in this task' }[window];
}

/** `2026-11-28 00:00 Europe/Berlin` */
export function localTime(at: number, zone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' });
  // A minute that has begun is not over.
  return `${format.format(Math.ceil(at / 60_000) * 60_000)} ${zone}`;
}

/** `at most 20 calls and 500.00 EUR per customer and day` */
export function limitInWords(budget: BudgetManifest): string {
  const { limit, per, window, zone } = budget;
  const parts = limitsOf(limit).map(([name, max]) => amountInWords(budget, name, max));
  const keys = per.map((key) => (typeof key === 'string' ? key : (key.argument ?? key.role ?? '')));
  const time = window === undefined ? [] : [typeof window === 'object' ? `${window.seconds} s` : window];
  const each = [...keys, ...time];
  const where = typeof window === 'string' && window !== 'task' && zone !== 'UTC' ? ` (${zone})` : '';
  return `at most ${list(parts)}${each.length > 0 ? ` per ${list(each)}` : ''}${where}`;
}

export function limitsOf({ count, items, sum, concurrent }: BudgetLimit): [Limited, number][] {
  const all: [Limited, number | null | undefined][] = [
    ['count', count],
    ['items', items?.max],
    ['sum', sum && readAmount(sum.max)],
    ['concurrent', concurrent],
  ];
  return all.flatMap(([limit, max]) => (max === undefined || max === null ? [] : [[limit, max] as [Limited, number]]));
}

const list = (words: string[]) => [words.slice(0, -1).join(', '), ...words.slice(-1)].filter(Boolean).join(' and ');

/** The record names the budgets that a call counts on. */
export function counted(decision: Decision, { budgets }: Pick<Wanted, 'budgets'>): Decision {
  return { ...decision, policies: [...decision.policies, ...[...budgets.keys()].map((name) => `budget:${name}`)] };
}

/** The decision about a call that its policies let through and a budget does not. No standing grant reaches across a budget. */
export function beyond(decided: Decision, { budgets }: Pick<Wanted, 'budgets'>, over: OverBudget): Decision {
  const { grantable: _, ...decision } = decided;
  const budget = budgets.get(over.budget);
  // Taken away since.
  if (!budget) return decision;
  const policies = [...new Set([...decision.policies, `budget:${budget.name}`])];
  const words = overInWords(budget, over);
  if (budget.over === 'deny') return { ...decision, effect: 'deny', code: 'budget.exceeded', reason: words, policies };
  const tier = Math.max(3, decision.tier) as Tier;
  return {
    ...decision,
    effect: 'needs-approval',
    tier,
    code: 'budget.exceeded',
    reason: `${words} A person is asked.`,
    policies,
  };
}
