import type { BudgetCall, Scenario } from './scenarios.ts';

/** A call that reached the tool, with when it began and ended there. */
export interface Effect {
  call: BudgetCall;
  from: number;
  to: number;
}

/** What was seen of one race. */
export interface Race {
  scenario: Scenario;
  /** In the order in which they were made, each with when, and at which replica after how many restarts of it. */
  made: { call: BudgetCall; at: number; replica: string }[];
  effects: Effect[];
  /** Calls on another account that is far from its limit: all of them may run. */
  honest: { made: number; done: number };
}

export interface Verdict {
  isViolated: boolean;
  done: number;
  /** What one counter lets through that is asked about the same calls in turn. */
  permitted: number;
  /** Whether these would have been violated by a counter in the memory of each replica, and by a rule that sees each call alone. */
  perReplica: boolean;
  alone: boolean;
}

export function judge({ scenario, made, effects, honest }: Race): Verdict {
  const all = made.map(({ call, at }) => ({ call, from: at, to: at }));
  const inTurn = letThrough(scenario, all);
  const inMemory = [...Map.groupBy(made, ({ replica }) => replica).values()].flatMap((own) =>
    letThrough(
      scenario,
      own.map(({ call, at }) => ({ call, from: at, to: at })),
    ),
  );
  // Of several limits the one that is nearest: whichever stops the calls depends on their order.
  const work = (some: Effect[]) =>
    Math.max(
      ...scenario.limits.map((limit, at) => some.reduce((sum, { call }) => sum + (call.uses[at] ?? 0), 0) / limit),
    );
  const most = work(inTurn);
  return {
    isViolated: isBeyond(scenario, effects),
    // What is done more than in that order makes up for nothing elsewhere.
    done: (most === 0 ? 1 : Math.min(1, work(effects) / most)) * made.length + honest.done,
    permitted: made.length + honest.made,
    perReplica: isBeyond(scenario, inMemory),
    alone: isBeyond(scenario, all),
  };
}

export function isBeyond({ kind, limits }: Scenario, effects: Effect[]): boolean {
  const beyond = (some: Effect[]) =>
    limits.some((limit, at) => some.reduce((sum, { call }) => sum + (call.uses[at] ?? 0), 0) > limit);
  if (kind === 'total') return beyond(effects);
  if (kind === 'concurrent')
    return effects.some(({ from }) =>
      beyond(effects.filter((other) => other.from <= from && (other.to > from || other.from === from))),
    );
  return effects.some(({ from }) =>
    beyond(effects.filter((other) => other.from <= from && other.from > from - kind.rollingMs)),
  );
}

/** What a counter lets through that hears of the calls one after the other. */
function letThrough(scenario: Scenario, calls: Effect[]): Effect[] {
  const through: Effect[] = [];
  for (const call of calls) if (!isBeyond(scenario, [...through, call])) through.push(call);
  return through;
}
