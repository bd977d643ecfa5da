import type { Caller } from '../identity/index.ts';
import type { Agent, Registry, Snapshot } from '../registry/index.ts';
import type { Action } from './types.ts';

export interface Reason {
  code: string;
  reason: string;
}

export const STALE: Reason = {
  code: 'replica.stale',
  reason:
    'This replica has lost touch with the database, or things changed while the call was decided. Nothing was sent; try again in a moment.',
};

/** Step 1: why this caller may do nothing now, if so. */
export function whoIsRefused(
  snapshot: Snapshot,
  { caller }: Action,
  agent: Agent | undefined,
  now: number,
): Reason | undefined {
  if (!agent) return { code: 'agent.unknown', reason: `The agent "${caller.agent}" is not registered.` };
  if (agent.killedAt !== null)
    return {
      code: 'agent.killed',
      reason: `The agent "${agent.name}" was killed. Its owner ${agent.manifest.owner} can say why.`,
    };
  if (agent.state !== 'active')
    return { code: `agent.${agent.state}`, reason: `The agent "${agent.name}" is ${agent.state}.` };
  if (agent.epoch !== caller.agentEpoch)
    return { code: 'token.outdated', reason: 'The agent has changed since this token was issued. Start a task again.' };
  if (snapshot.revokedTokens.has(caller.tokenId)) return { code: 'token.revoked', reason: 'This token was revoked.' };
  if (caller.task.state !== 'active')
    return {
      code: `task.${caller.task.state}`,
      reason: `The task ${caller.task.id} is ${caller.task.state}. Start a new one.`,
    };
  if (caller.task.expiresAt <= now || caller.expiresAt <= now)
    return { code: 'task.expired', reason: 'The task or its token has expired. Start a new one.' };
  return undefined;
}

/** Why nothing that this caller opened may stay open, if so. What it reads of agents and tokens is of the moment of the call. */
export async function whyStopped(registry: Registry, caller: Caller): Promise<string | undefined> {
  const { agents, revokedTokens } = registry.snapshot();
  const agent = agents.get(caller.agent);
  if (agent?.state !== 'active') return `the agent ${caller.agent} is ${agent?.state ?? 'gone'}`;
  if (agent.epoch !== caller.agentEpoch) return `the agent ${caller.agent} has changed`;
  if (revokedTokens.has(caller.tokenId)) return 'its token was revoked';
  const task = await registry.task(caller.task.id);
  return task?.state === 'active' ? undefined : `the task ${caller.task.id} has ended`;
}
