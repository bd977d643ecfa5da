import { z } from 'zod';
import { name, toolPattern } from './names.ts';
import type { Actor } from './records.ts';

/** RFC 9396 type of the authorization details that start (or continue) a task at the token endpoint. */
export const TASK_DETAILS_TYPE = 'urn:gatehouse:task';

export const taskParameters = z.record(z.string(), z.union([z.string().max(1_000), z.number().int(), z.boolean()]));
export type TaskParameters = z.infer<typeof taskParameters>;

/**
 * What an agent says when it starts a task. All of it is `declared`: recorded, shown, and granting nothing beyond what the
 * template allows that agent (laws 5, 9). With `task` a new token for a running task is asked for, and nothing else may be given.
 */
export const taskDetails = z.union([
  z.strictObject({ type: z.literal(TASK_DETAILS_TYPE), task: z.string().regex(/^tsk_[0-9a-z]+$/) }),
  z.strictObject({
    type: z.literal(TASK_DETAILS_TYPE),
    template: name,
    parameters: taskParameters.default({}),
    intent: z.string().min(1).max(2_000),
    on_behalf_of: z.string().max(254).optional(),
    requested_by: z.string().max(254).optional(),
    ticket: z.string().max(200).optional(),
    change_request: z.string().max(200).optional(),
    model_provider: z.string().max(100).optional(),
    model: z.string().max(100).optional(),
    /** The standing delegation under which the task acts for its person. Verified, unlike `on_behalf_of`. */
    delegation: z
      .string()
      .regex(/^dlg_[0-9a-z]{1,60}$/)
      .optional(),
    /** Narrows the task to these of what its template allows: an agent asks for as little as it needs. */
    tools: z.array(toolPattern).min(1).max(50).optional(),
  }),
]);
export type TaskDetails = z.infer<typeof taskDetails>;

/** What a person or the delegating task has narrowed a task to. Never widens what its template permits. */
export interface Narrowing {
  /** Tool patterns, as in templates; a tool that none matches may not be used. */
  tools: string[];
}

export interface Suspension {
  /** Milliseconds since the epoch. */
  at: number;
  /** `person:EMAIL`, or `gatehouse` for the circuit breaker. */
  by: string;
  reason: string;
}

export interface Task {
  id: string;
  agent: string;
  environment: string;
  template: string;
  parameters: TaskParameters;
  /** All six as declared by the agent: recorded, and granting nothing. */
  intent: string;
  onBehalfOf: string | null;
  requestedBy: string | null;
  ticket: string | null;
  changeRequest: string | null;
  modelProvider: string | null;
  model: string | null;
  /** Email of the person for whom it acts: verified by a sign-in, a token or a trust rule, never declared. */
  user: string | null;
  /** The standing delegation under which that person lets the agent act. */
  delegation: string | null;
  /** The task whose agent handed this one on. */
  parent: string | null;
  /** Who handed it on, nearest first: the rest of the actor chain after the task's own agent. */
  actors: Actor[];
  narrowing: Narrowing | null;
  /** Who vouches for its intent and parameters: a workload (SPIFFE ID), or a person who saw them and said yes (`person:EMAIL`). */
  vouchedBy: string | null;
  state: 'active' | 'ended' | 'killed';
  /** Stopped until a person lets it go on; its time runs on. */
  suspended?: Suspension | null;
  /** How often it was stopped and let go on: what was decided before one of those is not done after it. */
  fence?: number;
  /** Milliseconds since the epoch. */
  startedAt: number;
  expiresAt: number;
}
