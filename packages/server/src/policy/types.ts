import type { Decision, Task } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import type { Agent, RegisteredTool, Snapshot } from '../registry/index.ts';
import type { Answer } from './cedar/index.ts';
import type { OfficialEngine } from './official.ts';
import type { Situation } from './situation.ts';

/** A person for whom a task acts, as the workspace has them now. */
export interface PolicyUser {
  email: string;
  roles: readonly string[];
  groups: readonly string[];
}

/** On whose authority something is done: all of them must be permitted (law 5). */
export interface Authority {
  agent: Agent;
  task: Task;
  /** Who handed the task on, nearest first: each with the task that it had itself. Left out where nobody did. */
  chain?: readonly { agent: Agent; task: Task }[];
  /** Of `task.user`; without one, a task for a user is permitted nothing. */
  user?: PolicyUser | null;
}

/** What is asked of the policy: may this agent, in this task, do this with these arguments? */
export interface PolicyRequest extends Authority {
  tool: RegisteredTool;
  arguments: Json;
  situation: Situation;
}

/** The policy set compiled from one snapshot. */
export interface PolicySet {
  /** Digest of schema, templates, groups' permits and policies: part of what an approval binds. */
  version: string;
  decide(request: PolicyRequest): Decision;
  /** Ids of the policies in observe mode. */
  observed?: readonly string[];
  /** False when no permit could ever apply: such a tool is not listed to this task. */
  mayEverUse(authority: Authority, tool: RegisteredTool): boolean;
  /** Every kind that some policy masks in what one of these tools brings, whatever the arguments: for what comes without a call of its own. */
  everyMask(authority: Authority, tools: Iterable<RegisteredTool>): string[];
}

/**
 * Throws `policy.invalid` with file, line and message when a policy does not fit the schema made from the registry. `validated` says
 * that the snapshot went through that before (everything that was applied did): what is left is parsing, a tenth of the time.
 */
export type CompilePolicies = (
  snapshot: Pick<Snapshot, 'servers' | 'templates' | 'groups' | 'policies' | 'agents' | 'calendars' | 'approvalRules'> &
    Partial<Pick<Snapshot, 'environments' | 'credentialProviders'>>,
  options?: { validated?: boolean; enginesDiffer?: EnginesDiffer; officialEngine?: OfficialEngine },
) => PolicySet;

/** Hears of a decision that the official engine would not have taken. */
export type EnginesDiffer = (difference: {
  tool: string;
  policyVersion: string;
  compiled: Answer;
  official: Answer;
}) => void;
