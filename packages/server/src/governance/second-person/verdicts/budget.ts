import type { BudgetManifest } from '@gatehouse/protocol';
import { canonicalJson } from '../../../platform/index.ts';

/** Where a budget could let more through: a new one never, a changed one unless only its numbers are lower and it refuses where it asked. */
export function relaxedBudget(before: BudgetManifest | undefined, after: BudgetManifest | undefined): string[] {
  if (!before) return [];
  if (!after) return ['a budget is removed'];
  const [was, is] = [numbersOf(before), numbersOf(after)];
  const raised = Object.entries(was).filter(([name, most]) => (is[name] ?? Infinity) > most);
  if (raised.length > 0) return [`its limit of ${raised.map(([name]) => name).join(' and ')} is raised or removed`];
  if (before.over === 'deny' && after.over === 'approval')
    return ['beyond it a person is asked, who could not be asked before'];
  return canonicalJson(withoutNumbers(before, was)) === canonicalJson(withoutNumbers(after, was))
    ? []
    : ['what it counts is changed'];
}

function numbersOf({ limit: { count, items, sum, concurrent } }: BudgetManifest): Record<string, number> {
  return {
    ...(count !== undefined && { calls: count }),
    ...(items && { items: items.max }),
    ...(sum && { sum: Number(sum.max) }),
    ...(concurrent !== undefined && { 'calls at once': concurrent }),
  };
}

/** A limit that is added to those that were there only stops. */
function withoutNumbers(
  { limit, over: _over, description: _description, ...rest }: BudgetManifest,
  known: object,
): object {
  const { items, sum } = limit;
  return {
    ...rest,
    ...('items' in known && items && { items: { ...items, max: 0 } }),
    ...('sum' in known && sum && { sum: { ...sum, max: 0 } }),
  };
}
