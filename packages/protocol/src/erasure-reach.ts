import type { ErasureReach } from './keeping.ts';

/** Of two looks, one after the other. */
export function addReach(a: ErasureReach, b: ErasureReach): ErasureReach {
  const exported = new Map(a.exported.map(({ sink, records }) => [sink, records]));
  for (const { sink, records } of b.exported) exported.set(sink, (exported.get(sink) ?? 0) + records);
  const sums = Object.fromEntries(counted.map((name) => [name, a[name] + b[name]])) as Record<Counted, number>;
  return { ...sums, exported: [...exported].map(([sink, records]) => ({ sink, records })) };
}

type Counted = Exclude<keyof ErasureReach, 'exported'>;
const words = {
  arguments: 'arguments of calls, with their salts',
  results: 'results of calls, with their salts',
  approvals: 'approvals: what they say of arguments',
  grants: 'standing grants: what they say of arguments',
  endorsements: 'values that were endorsed with these approvals',
  heldResults: 'results that wait for a person',
  tasks: 'calls that ran as MCP tasks, with what came of them',
  unknownCalls: 'notes on calls of which nobody knows whether they ran',
  budgets: 'counters of budgets: what they are shown as',
  deliveries: 'answers of channels',
} satisfies Partial<Record<Counted, string>>;
const counted: Counted[] = ['actions', 'held', 'records', ...(Object.keys(words) as (keyof typeof words)[])];

/** What it takes, in words; what is not there is left out. */
export const reachLines = (reach: ErasureReach): [number, string][] =>
  (Object.entries(words) as [keyof typeof words, string][]).flatMap(([name, what]) =>
    reach[name] > 0 ? [[reach[name], what]] : [],
  );
