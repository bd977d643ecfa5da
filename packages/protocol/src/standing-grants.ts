import { z } from 'zod';

/** How far standing grants may go at most, whatever a policy says. */
export const grantLimits = {
  /** Calls that one covers: more is a change of policy and no decision about a task. */
  calls: 1_000,
  /** Life of one; it never outlives its task. */
  seconds: 86_400,
  /** Arguments that one leaves open: more than a person can judge is no bound. */
  bounds: 20,
  /** Values that one argument may take. */
  values: 50,
  /** Grants in force of one task, which each call that needs a person is compared with. */
  perTask: 20,
} as const;

const scalar = z.union([z.string().max(4_096), z.number(), z.boolean()]);
/** An amount as it is compared: no sign, no exponent, at most six decimals. */
const amount = z.string().regex(/^(0|[1-9]\d{0,9})(\.\d{1,6})?$/, 'an amount like "500" or "500.00"');
/** Where the argument stands: `["amount"]`, or `["payment", "amount"]` for a member of an object. */
const at = z.array(z.string().min(1).max(200)).min(1).max(5);

/** What one argument may be. An argument without a bound is exactly as in the call that was approved. */
export const argumentBound = z.union([
  z.strictObject({ at, oneOf: z.array(scalar).min(1).max(grantLimits.values) }),
  /** A number, or an amount written as a text, whichever it was in the call that was approved. */
  z.strictObject({ at, min: amount, max: amount }),
  /** A path or resource below this one, which ends in `/`: plain segments, none that leads elsewhere. */
  z.strictObject({ at, under: z.string().min(2).max(2_048).endsWith('/') }),
]);
export type ArgumentBound = z.infer<typeof argumentBound>;

const terms = {
  /** Further calls, beyond the one that is approved. */
  calls: z.int().min(1).max(grantLimits.calls),
  bounds: z.array(argumentBound).max(grantLimits.bounds).default([]),
  /** The most that this argument may come to over all the calls that are covered. */
  sum: z.strictObject({ at, max: amount }).optional(),
};

/** What an approver asks for: more calls like the one that waits. */
export const grantRequest = z.strictObject({
  ...terms,
  seconds: z.int().min(60).max(grantLimits.seconds),
});
export type GrantRequest = z.infer<typeof grantRequest>;

/** The same as it is signed, with its times. */
export const grantTerms = z.strictObject({ ...terms, from: z.int(), until: z.int() });
export type GrantTerms = z.infer<typeof grantTerms>;

export type GrantState = 'active' | 'used-up' | 'expired' | 'revoked' | 'ended';

/**
 * More calls like one that a person has approved, signed with that yes: this tool as it was defined, for this agent in this task, within
 * these bounds, so many, so long.
 */
export interface StandingGrant {
  id: string;
  /** The yes that it was given with. */
  approval: string;
  state: GrantState;
  agent: string;
  agentEpoch: number;
  task: string;
  environment: string;
  operation: string;
  tool: string;
  toolDefinition: string;
  /** Of the call that was approved: what has no bound is exactly so. */
  arguments: unknown;
  terms: GrantTerms;
  givenBy: string;
  givenAt: number;
  /** Calls that it has covered. */
  used: number;
  /** What they came to; null without a bound on it. */
  usedSum: string | null;
  endedAt: number | null;
  endedBy: string | null;
  reason: string | null;
}
