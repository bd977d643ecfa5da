import type { Decision, Task } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import type { Agent, RegisteredTool, Snapshot } from '../registry/index.ts';

/** What is asked of the policy: may this agent, in this task, do this with these arguments? */
export interface PolicyRequest {
  agent: Agent;
  task: Task;
  tool: RegisteredTool;
  arguments: Json;
  now: number;
}

/** The policy set compiled from one snapshot. */
export interface PolicySet {
  /** Digest of schema, templates and policies: part of what an approval binds. */
  version: string;
  decide(request: PolicyRequest): Decision;
  /** False when no permit could ever apply: such a tool is not listed to this task. */
  mayEverUse(agent: Agent, task: Task, tool: RegisteredTool): boolean;
}

/**
 * Throws `policy.invalid` with file, line and message when a policy does not fit the schema made from the registry. `validated` says
 * that the snapshot went through that before (everything that was applied did): what is left is parsing, a tenth of the time.
 */
export type CompilePolicies = (
  snapshot: Pick<Snapshot, 'servers' | 'templates' | 'policies' | 'agents'>,
  options?: { validated: boolean },
) => PolicySet;
