import { z } from 'zod';
import type { Page } from './api.ts';
import { email, name, toolPattern } from './names.ts';
import { type TaskParameters, taskParameters } from './tasks.ts';

/** Standing delegations: who lets which agent do what, until when (law 5). Times are milliseconds since the epoch. */
export interface Delegation {
  id: string;
  /** Email of the person who lets the agent act for them, and who alone could create it. */
  user: string;
  agent: string;
  template: string;
  /** Values that the parameters of each task must have; what is not named here the agent may choose, unless it comes from a consent. */
  parameters: TaskParameters;
  /** Tool patterns that narrow the template; null: all that it allows. */
  tools: string[] | null;
  /** How long each task may last; null: as its template says. */
  taskTtlSeconds: number | null;
  /** Null: as many as the agent may start. Counted over 24 hours. */
  maxTasksPerDay: number | null;
  /** `active`; `review-due`: not looked at in time, and of no use until the person has; `expired`; `revoked`. */
  state: 'active' | 'review-due' | 'expired' | 'revoked';
  createdAt: number;
  /** Where the person said yes: `console` or `consent`. */
  via: string;
  expiresAt: number;
  reviewDueAt: number;
  reviewedAt: number | null;
  revokedAt: number | null;
  revokedBy: string | null;
  /** Tasks that were started under it, in all. */
  used: number;
  lastUsedAt: number | null;
}

export const delegationBodies = {
  create: z.strictObject({
    agent: name,
    template: name,
    parameters: taskParameters.default({}),
    tools: z.array(toolPattern).min(1).max(50).optional(),
    taskTtlSeconds: z.number().int().min(60).max(86_400).optional(),
    maxTasksPerDay: z.number().int().min(1).max(10_000).optional(),
    /** Whole days from now. */
    days: z.number().int().min(1).max(90).default(30),
  }),
} as const;
export type NewDelegation = z.output<typeof delegationBodies.create>;

export const delegationFilter = { user: email.optional(), agent: name.optional() };

export interface DelegationsApi {
  'GET /delegations': Page<Delegation>;
  'POST /delegations': Delegation;
  'DELETE /delegations/:id': Delegation;
  'POST /delegations/:id/review': Delegation;
}
