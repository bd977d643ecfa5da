import { z } from 'zod';
import { argumentRole, effect, label, name, toolPattern } from './names.ts';
import { toolPatternMatches } from './tool-pattern.ts';

/** Names an argument (`customer`; members joined by dots, `*` for every element: `payments.*.amount`), or says what it stands for. */
const whichArgument = {
  argument: z.string().min(1).max(200).optional(),
  role: argumentRole.optional(),
};
const EITHER = { message: 'name either `argument` or `role`' };
const isEither = ({ argument, role }: { argument?: string | undefined; role?: string | undefined }) =>
  (argument === undefined) !== (role === undefined);

/** What a budget counts apart. */
export const budgetKey = z.union([
  z.enum(['task', 'agent', 'template', 'user', 'owner', 'environment']),
  z
    .strictObject({
      ...whichArgument,
      /** `folded`: values that differ in case, white space or Unicode form are the same. `exact`: only the same text is. */
      compare: z.enum(['folded', 'exact']).default('folded'),
    })
    .refine(isEither, EITHER),
]);
export type BudgetKey = z.infer<typeof budgetKey>;

/** Credentials that tasks are handed themselves: those of one provider, or of all. */
const handOutPattern = z
  .string()
  .max(80)
  .regex(/^(\*|[a-z][a-z0-9]*(-[a-z0-9]+)*)#credential$/, 'PROVIDER#credential or *#credential');

/** Whether what a budget names covers this: a tool, a feature of a server, or what is handed out of a provider. */
export const isCountedBy = (pattern: string, ref: string): boolean =>
  toolPatternMatches(pattern, ref) || (pattern === '*#credential' && ref.endsWith('#credential'));

const most = z.int().min(0).max(1_000_000_000);

export const budgetWindow = z.union([
  z.enum(['hour', 'day', 'week', 'month', 'task']),
  /** The last so many seconds, at any moment. */
  z.strictObject({ seconds: z.int().min(60).max(2_678_400) }),
]);

export type BudgetWindow = z.infer<typeof budgetWindow>;

export const budgetLimit = z
  .strictObject({
    /** Calls. */
    count: most.optional(),
    /** Elements of a list, and one for what is no list: files deleted, messages sent. */
    items: z
      .strictObject({ ...whichArgument, max: most })
      .refine(isEither, EITHER)
      .optional(),
    /** Sum of an argument. */
    sum: z
      .strictObject({
        ...whichArgument,
        /** As the tool takes it; exact to six decimals. */
        max: z.union([
          z.number().min(0).max(9_000_000_000),
          z.string().regex(/^\d{1,10}(\.\d{1,6})?$/, 'an amount like 500 or "500.00"'),
        ]),
        /** Only amounts in this currency are added. A call in one that no budget of the tool is for is refused. */
        currency: z.strictObject({ argument: z.string().min(1).max(200), is: z.string().min(1).max(20) }).optional(),
        /** How many of the amount's digits are decimals: 2 where the tool takes cents. For showing only. */
        decimals: z.int().min(0).max(6).default(0),
      })
      .refine(isEither, EITHER)
      .optional(),
    /** Calls that run at the same time. */
    concurrent: z.int().min(0).max(1_000).optional(),
  })
  .refine((limit) => Object.keys(limit).length > 0, { message: 'give `count`, `items`, `sum` or `concurrent`' });

export type BudgetLimit = z.infer<typeof budgetLimit>;

/**
 * How much agents may do with some tools: calls, items and sums in a window, and calls at the same time. It holds across replicas, and a
 * call counts on every budget that covers it.
 */
export const budgetManifest = z.strictObject({
  kind: z.literal('Budget'),
  name,
  description: z.string().max(2_000).optional(),
  /** Covers calls of these tools, and what tasks are handed of credential providers (`PROVIDER#credential`, `*#credential`) … */
  tools: z
    .array(z.union([toolPattern, handOutPattern]))
    .min(1)
    .max(100)
    .optional(),
  /** … that have one of these effects … */
  effects: z.array(effect).min(1).optional(),
  /** … and one of these domains. At least one of the three is given. */
  domains: z.array(label).min(1).max(50).optional(),
  /** Only in tasks of these templates, or handed on from one. */
  templates: z.array(name).min(1).max(100).optional(),
  /** Only of these agents, or of tasks that they handed on. */
  agents: z.array(name).min(1).max(1_000).optional(),
  environments: z.array(name).min(1).max(100).optional(),
  /** What it counts apart; without it everything covered counts together. */
  per: z.array(budgetKey).max(4).default([]),
  /** For `count`, `items` and `sum`. Hours, days, weeks (from Monday) and months are those of `zone`. */
  window: budgetWindow.optional(),
  /** IANA time zone of the window. */
  zone: z.string().max(60).default('UTC'),
  limit: budgetLimit,
  /** What becomes of a call beyond it: refused, or a person is asked (tier 3). What they approve still counts. */
  over: z.enum(['deny', 'approval']).default('deny'),
  /**
   * True: a call that the tool reports as failed counts no more. Only for tools whose failure means that nothing happened. What was
   * surely not sent never counts.
   */
  giveBackOnFailure: z.boolean().default(false),
});
export type BudgetManifest = z.infer<typeof budgetManifest>;

/** One budget, with how many counters it has now and the fullest of them. */
export interface BudgetView {
  name: string;
  description: string | null;
  /** In words: `at most 20 calls and 500.00 EUR per customer and day`. */
  limit: string;
  over: 'deny' | 'approval';
  counters: number;
  /** In percent of the tightest limit; 0 when nothing is used. */
  fullest: number;
}

/** What is used for one key of a budget. */
export interface BudgetCounter {
  /** `customer 17`; empty where everything counts together. */
  for: string;
  /** Per limit, amounts as the tool takes them. */
  used: { limit: 'count' | 'items' | 'sum' | 'concurrent'; used: string; of: string; unit: string }[];
  /** When the window starts again; null where it rolls, or where only what runs counts. */
  until: string | null;
}

export interface BudgetDetail extends BudgetView {
  manifest: BudgetManifest;
  /** The fullest first. */
  items: BudgetCounter[];
  cursor: string | null;
}
