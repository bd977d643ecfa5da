import { z } from 'zod';
import { agentManifest, type PlanChange } from './manifests/index.ts';
import { lifecycle, name } from './names.ts';
import { type Task, taskDetails } from './tasks.ts';

/**
 * Many agents or tasks in one request: all of it or nothing, a record for each. A request names at most 1,000; send more in several
 * requests, a few at once.
 */
export const BULK_ENTRIES = 1_000;

const [, started] = taskDetails.options;

export const bulkBodies = {
  enrolAgents: z.strictObject({ agents: z.array(agentManifest).min(1).max(BULK_ENTRIES) }),
  setAgentStates: z.strictObject({
    names: z.array(name).min(1).max(BULK_ENTRIES),
    state: lifecycle,
  }),
  startTasks: z.strictObject({
    /** Agent and details as at the token endpoint, where each agent then gets its token for the task by its id. */
    tasks: z
      .array(started.omit({ type: true }).extend({ agent: name }))
      .min(1)
      .max(BULK_ENTRIES),
    /** A request that is sent again with its key within a day starts nothing and is answered as before. */
    idempotencyKey: z.string().min(1).max(200).optional(),
  }),
  endTasks: z.strictObject({ ids: z.array(z.string().max(64)).min(1).max(BULK_ENTRIES) }),
} as const;

export interface BulkApi {
  /** Idempotent: agents that are there as given are `unchanged`. */
  'POST /agents': { agents: { name: string; spiffeId: string; operation: PlanChange['operation']; note?: string }[] };
  /** Resolves when every replica has heard. `changed` leaves out those that were in that state already. */
  'POST /agents/state': { changed: string[] };
  'POST /tasks': { tasks: Task[] };
  'POST /tasks/end': { ended: string[] };
}
