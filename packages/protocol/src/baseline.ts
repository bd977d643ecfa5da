import { z } from 'zod';

/** In what a call differs from what its agent usually does. `size`: of the result, known once the call has run. */
export const deviationKind = z.enum(['first-use', 'hour', 'weekday', 'rate', 'resource', 'amount', 'size']);
export type DeviationKind = z.infer<typeof deviationKind>;

export interface Deviation {
  kind: DeviationKind;
  /** For people, with the numbers: `agent-x has called shop/refund_order 312 times in 21 days, never between …`. */
  words: string;
}

/** What is usual of one tool of an agent, or of all that it does. */
export interface UsualView {
  calls: number;
  /** Days on which it was called. */
  days: number;
  firstAt: number;
  lastAt: number;
  /** Calls by hour of the day (0–23) and by day of the week (Sunday is 0), in the zone of the baseline. */
  hours: number[];
  weekdays: number[];
  /** Highest in an hour that counts as usual. */
  perHour: number;
  /** Of the newest days with calls: in the middle, and at most. */
  perDay: { usual: number; most: number };
}

/** Calls that were unusual and that nobody has approved: nothing was learned from them. */
export interface UnusualCalls {
  calls: number;
  lastAt: number;
  kinds: Partial<Record<DeviationKind, number>>;
}

export interface ToolBaseline extends UsualView {
  tool: string;
  /** Largest result that counts as usual, and the average; both in bytes, about. */
  resultBytes: { most: number; average: number };
  /** Highest amount that counts as usual; null where no argument of the tool is an amount. */
  amount: number | null;
  /**
   * What it is used on: accounts, recipients, paths … `watched`: few enough, and seldom new, so that another one is unusual. `overflow`: more
   * than are kept.
   */
  resources: { known: number; watched: boolean; overflow: boolean };
  unusual: UnusualCalls | null;
}

/** What an agent usually does (`GET /agents/:name/baseline`). */
export interface BaselineView {
  agent: string;
  /** `learning`: nothing of it is unusual yet. */
  state: 'learning' | 'known';
  learnedAt: number | null;
  zone: string;
  /** What has to be there until it is known. */
  needs: { days: number; calls: number };
  whole: UsualView | null;
  /** The most used first. */
  tools: ToolBaseline[];
  /** More tools than are kept of one agent: of those nothing is known. */
  overflow: boolean;
  /** Built-in rules that are off in its environment. */
  rulesOff: string[];
}

export const baselineBodies = {
  resetBaseline: z.strictObject({ reason: z.string().min(1).max(500) }),
  /** `tool`: as the baseline lists it. */
  acceptBaseline: z.strictObject({
    tool: z.string().min(1).max(200),
    reason: z.string().min(1).max(500),
  }),
} as const;

export interface BaselineApi {
  'GET /agents/:name/baseline': BaselineView;
  'POST /agents/:name/baseline/reset': BaselineView;
  'POST /agents/:name/baseline/accept': BaselineView;
}
