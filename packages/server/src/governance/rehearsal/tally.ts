import type {
  Decision,
  ObservedPolicy,
  ReplayCount,
  ReplayDifference,
  ReplayExample,
  ReplayVerdict,
} from '@gatehouse/protocol';
import { rehearsalLimits as limits } from './limits.ts';

const OTHERS = '(others)';

/** Counts by name, bounded: what comes after so many names is counted together. */
export function createCounter() {
  const counts = new Map<string, number>();
  let others = 0;
  return {
    add(name: string): void {
      const known = counts.get(name);
      if (known !== undefined || counts.size < limits.countedNames) counts.set(name, (known ?? 0) + 1);
      else others++;
    },
    list(): ReplayCount[] {
      const all = [...counts].map(([name, count]) => ({ name, count })).sort((a, b) => b.count - a.count);
      const shown = all.slice(0, limits.listedNames);
      const rest = all.slice(limits.listedNames).reduce((sum, { count }) => sum + count, others);
      return rest > 0 ? [...shown, { name: OTHERS, count: rest }] : shown;
    },
  };
}

/** A few examples, and not all of one sort. */
export function createExamples(limit: number) {
  const examples: ReplayExample[] = [];
  const alike = createAlike();
  return {
    examples,
    add(make: () => ReplayExample, sort: string): void {
      if (examples.length < limit && alike(sort)) examples.push(make());
    },
  };
}

function createAlike() {
  const seen = new Map<string, number>();
  return (sort: string): boolean => {
    const times = (seen.get(sort) ?? 0) + 1;
    if (seen.size < limits.countedNames || seen.has(sort)) seen.set(sort, times);
    return times <= limits.examplesAlike;
  };
}

export interface Compared {
  actionId: string;
  at: number;
  agent: string;
  template: string;
  tool: string;
  resource: string | null;
  before: Decision;
  after: Decision;
}

const verdictOf = ({ effect, tier, code, reason, policies }: Decision): ReplayVerdict => ({
  effect,
  tier,
  code,
  reason,
  policies,
});

export const exampleOf = ({
  actionId,
  at,
  agent,
  template,
  tool,
  resource,
  before,
  after,
}: Compared): ReplayExample => ({
  actionId,
  time: at,
  agent,
  template,
  tool,
  resource,
  before: verdictOf(before),
  after: verdictOf(after),
});

/** One way in which decisions differ. */
export function createDifference(limit: number) {
  const agents = createCounter();
  const templates = createCounter();
  const tools = createCounter();
  const policies = createCounter();
  const kept = createExamples(limit);
  let count = 0;
  return {
    add(compared: Compared): void {
      count++;
      agents.add(compared.agent);
      templates.add(compared.template);
      tools.add(compared.tool);
      const { policies: ids, code } = compared.after;
      for (const id of ids.length > 0 ? ids : [code]) policies.add(id);
      kept.add(() => exampleOf(compared), `${compared.agent} ${compared.tool} ${code}`);
    },
    result: (): ReplayDifference => ({
      count,
      agents: agents.list(),
      templates: templates.list(),
      tools: tools.list(),
      policies: policies.list(),
      examples: kept.examples,
    }),
  };
}

export type DifferenceKind = 'stops' | 'runs' | 'waits';

/** What becomes of a decision; undefined where nothing does. */
export function differenceOf(before: Decision['effect'], after: Decision['effect']): DifferenceKind | undefined {
  if (before === after) return undefined;
  return ({ deny: 'stops', allow: 'runs', 'needs-approval': 'waits' } as const)[after];
}

/** What observe-only policies would have changed, by policy. */
export function createObserved(limit: number) {
  const policies = new Map<string, ObservedPolicy>();
  return {
    add(actionId: string, effect: Decision['effect'], observed: NonNullable<Decision['observed']>): void {
      const kind = differenceOf(effect, observed.effect);
      for (const policy of observed.policies) {
        let entry = policies.get(policy);
        if (!entry) {
          if (policies.size >= limits.countedNames) continue;
          entry = { policy, stops: 0, runs: 0, waits: 0, examples: [] };
          policies.set(policy, entry);
        }
        if (kind) entry[kind]++;
        if (entry.examples.length < limit) entry.examples.push(actionId);
      }
    },
    list: (): ObservedPolicy[] =>
      [...policies.values()].sort((a, b) => b.stops + b.runs + b.waits - (a.stops + a.runs + a.waits)),
  };
}
