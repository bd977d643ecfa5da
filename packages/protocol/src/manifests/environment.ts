import { z } from 'zod';
import { breakGlassSettings } from '../break-glass.ts';
import { baselineRule, flowRule, label, name } from '../names.ts';
import { description } from './description.ts';

const rate = z.union([
  z.literal('off'),
  z.strictObject({ count: z.int().min(1).max(100_000), seconds: z.int().min(1).max(86_400) }),
]);

/** A circuit breaker: more than `count` within `seconds` suspends. `off` switches one off. */
export const breaker = z.strictObject({
  /** Refused actions of one task. */
  refusals: rate.default({ count: 50, seconds: 60 }),
  /** Refused attempts of one task at what deletes, pays, exports, deploys, administers, or is prohibited. */
  grave: rate.default({ count: 10, seconds: 300 }),
  /** Actions of one task. */
  burst: rate.default({ count: 3_000, seconds: 10 }),
  /** Tasks of one agent that were suspended: then the agent is. */
  tasks: rate.default({ count: 3, seconds: 3_600 }),
});
export type Breaker = z.infer<typeof breaker>;

/** When what an agent does counts as known. */
export const baseline = z.strictObject({
  /** Days on which it has to have called tools. */
  days: z.int().min(1).max(90).default(7),
  /** Calls that it has to have made. Until both are there nothing of it is unusual. */
  calls: z.int().min(1).max(1_000_000).default(200),
  /** IANA time zone of its hours and days. What was learned in one stays in it until it is learned anew. */
  zone: z.string().max(60).default('UTC'),
  /** Built-in rules on unusual calls that are off here. Such calls are marked and recorded all the same. */
  rulesOff: z.array(baselineRule).max(5).default([]),
});
export type BaselineSettings = z.infer<typeof baseline>;

export const environmentManifest = z.strictObject({
  kind: z.literal('Environment'),
  name,
  description,
  /** Production environments refuse what cannot be isolated (law 11). */
  production: z.boolean().default(false),
  /**
   * `second-person`: a change that could let through what the policies stop waits until somebody else than its author ships it, with a
   * passkey. Without it: so in production environments.
   */
  policyChanges: z.enum(['direct', 'second-person']).optional(),
  /**
   * Built-in rules of information flow that are off here. What they would hold for a person then runs at the tool's own tier; labels and
   * origins are kept and recorded all the same.
   */
  flowRulesOff: z.array(flowRule).max(20).optional(),
  /** What is usual for the agents of this environment: when it has been learned, and what becomes of what is not. */
  baseline: baseline.optional(),
  /** When tasks, and then agents, are suspended by themselves. */
  breaker: breaker.optional(),
  /** Kinds of sensitive data that are masked in every result in this environment: personal, financial … */
  mask: z.array(label).min(1).max(20).optional(),
  /** With which incidents two people may let a task run calls without an approval; without it, with any number of an incident. */
  breakGlass: breakGlassSettings.optional(),
});

export type EnvironmentManifest = z.infer<typeof environmentManifest>;
