import type { Task } from '@gatehouse/protocol';
import type { Caller } from '../identity/index.ts';
import type { Authority, PolicyUser } from '../policy/index.ts';
import { type Agent, groupsOf, mayHandOn, type Registry, type Snapshot } from '../registry/index.ts';
import type { CircuitBreaker } from './breaker.ts';
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
  { caller }: Pick<Action, 'caller'>,
  agent: Agent | undefined,
  now: number,
  breaker: Pick<CircuitBreaker, 'isTripped'>,
): Reason | undefined {
  const stopped = agentIsRefused(agent, caller.agent, caller.agentEpoch);
  if (stopped) return stopped;
  if (snapshot.revokedTokens.has(caller.tokenId)) return { code: 'token.revoked', reason: 'This token was revoked.' };
  if (caller.task.state !== 'active')
    return {
      code: `task.${caller.task.state}`,
      reason: `The task ${caller.task.id} is ${caller.task.state}. Start a new one.`,
    };
  if (caller.task.suspended) return suspended(caller.task, agent as Agent);
  if (breaker.isTripped(caller.task))
    return { code: 'task.suspended', reason: `The circuit breaker has stopped the task ${caller.task.id}.` };
  if (caller.task.expiresAt <= now || caller.expiresAt <= now)
    return { code: 'task.expired', reason: 'The task or its token has expired. Start a new one.' };
  return chainIsRefused(snapshot, caller, agent as Agent, now);
}

function suspended({ id, suspended }: Task, { manifest }: Agent): Reason {
  return {
    code: 'task.suspended',
    reason: `The task ${id} is suspended: ${suspended?.reason} Nothing of it goes on until a person has looked at it; ask ${manifest.owner} (the owner).`,
  };
}

function agentIsRefused(agent: Agent | undefined, name: string, epoch: number): Reason | undefined {
  if (!agent) return { code: 'agent.unknown', reason: `The agent "${name}" is not registered.` };
  if (agent.killedAt !== null)
    return {
      code: 'agent.killed',
      reason: `The agent "${agent.name}" was killed. Its owner ${agent.manifest.owner} can say why.`,
    };
  if (agent.state !== 'active')
    return { code: `agent.${agent.state}`, reason: `The agent "${agent.name}" is ${agent.state}.` };
  if (agent.epoch !== epoch)
    return { code: 'token.outdated', reason: 'The agent has changed since this token was issued. Start a task again.' };
  return undefined;
}

/** Laws 5 and 6: whoever handed the task on is active, at work on the task that he had, and may still hand it on to the next. */
function chainIsRefused(snapshot: Snapshot, caller: Caller, agent: Agent, now: number): Reason | undefined {
  let to = agent;
  for (const { agent: name, agentEpoch, task } of caller.chain) {
    const from = snapshot.agents.get(name);
    const stopped = agentIsRefused(from, name, agentEpoch);
    if (stopped) return { ...stopped, reason: `${stopped.reason} It handed on this task.` };
    if (task.state !== 'active' || task.expiresAt <= now)
      return { code: 'task.over', reason: `The task ${task.id}, from which this one was handed on, is over.` };
    if (task.suspended) return suspended(task, from as Agent);
    if (!mayHandOn(snapshot, from as Agent, to))
      return {
        code: 'delegation.not-allowed',
        reason: `The agent "${name}" may not hand tasks on to "${to.name}" any more. Ask ${(from as Agent).manifest.owner} (its owner).`,
      };
    to = from as Agent;
  }
  return undefined;
}

/** On whose authority the caller acts, as the snapshot has them. Null when somebody of the chain is not there. */
export function authorityOf(snapshot: Snapshot, caller: Caller): Authority | null {
  const agent = snapshot.agents.get(caller.agent);
  if (!agent) return null;
  const chain = [];
  for (const link of caller.chain) {
    const above = snapshot.agents.get(link.agent);
    if (!above) return null;
    chain.push({ agent: above, task: link.task });
  }
  return { agent, task: caller.task, chain, user: userOf(snapshot, caller.task.user) };
}

function userOf(snapshot: Snapshot, email: string | null): PolicyUser | null {
  const person = email === null ? undefined : snapshot.people.get(email);
  return person ? { email: person.email, roles: person.roles, groups: groupsOf(snapshot, person.email) } : null;
}

/** Why nothing that this caller opened may stay open, if so. What it reads of agents and tokens is of the moment of the call. */
export async function whyStopped(registry: Registry, caller: Caller): Promise<string | undefined> {
  const { agents, revokedTokens } = registry.snapshot();
  for (const { agent: name, agentEpoch } of [caller, ...caller.chain]) {
    const agent = agents.get(name);
    if (agent?.state !== 'active') return `the agent ${name} is ${agent?.state ?? 'gone'}`;
    if (agent.epoch !== agentEpoch) return `the agent ${name} has changed`;
  }
  if (revokedTokens.has(caller.tokenId)) return 'its token was revoked';
  for (const { id } of [caller.task, ...caller.chain.map(({ task }) => task)]) {
    const task = await registry.task(id);
    if (task?.state !== 'active') return `the task ${id} has ended`;
    if (task.suspended) return `the task ${id} is suspended`;
  }
  return undefined;
}
