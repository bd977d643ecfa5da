import type { Task } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import { type Agent, mayHandOn, type Snapshot } from '../../registry/index.ts';
import type { Guard } from '../../storage/index.ts';
import { whyStopped } from './authenticate.ts';

type Chained = Pick<Task, 'id' | 'agent' | 'actors'>;
type Known = Pick<Snapshot, 'agents' | 'blueprints'>;

/** Why what was handed on counts no more: somebody who handed it on may not act now, or hands nothing on to the next any more. */
export function whyChainStopped({ id, agent, actors }: Chained, snapshot: Known): string | undefined {
  const own = snapshot.agents.get(agent);
  const line = own ? [own] : [];
  for (const { sub } of actors) {
    const above = snapshot.agents.get(nameIn(sub));
    const why = above ? whyStopped(above)?.message : `There is no agent ${sub} any more.`;
    if (why !== undefined) return `${why} It handed on the task ${id}.`;
    line.push(above as Agent);
  }
  return whyLineBroken(line, snapshot);
}

/** The last who acts first: why one of them may not hand tasks on to the one before it, if so. */
export function whyLineBroken(agents: Agent[], snapshot: Known): string | undefined {
  for (const [at, from] of agents.slice(1).entries()) {
    const to = agents[at] as Agent;
    if (mayHandOn(snapshot, from, to)) continue;
    return `${from.name} does not hand tasks on to ${to.name}. Its owner ${from.manifest.owner} can name it under delegatesTo, in the same environment.`;
  }
  return undefined;
}

/** Nothing is made for a task while anybody of its chain is stopped, or does not hand on any more (laws 5, 6). */
export function checkChain(task: Chained, snapshot: Known): void {
  const why = whyChainStopped(task, snapshot);
  if (why !== undefined) throw new GatehouseError('forbidden', 'agent.chain', why);
}

/**
 * The fences of all that a credential rests on, as the snapshot has them that it was decided with: it is recorded only while they stand, as a call
 * is dispatched, so that none is made once a kill has returned, whatever this replica knows of it (law 6).
 */
export function guardsOf(
  { fences }: Pick<Snapshot, 'fences'>,
  agent: string,
  task: Pick<Task, 'id' | 'actors' | 'user' | 'fence'> | null,
): Guard[] {
  const keys = [
    `agent:${agent}`,
    ...(task?.actors ?? []).map(({ sub }) => `agent:${nameIn(sub)}`),
    ...(task && task.user !== null ? [`person:${task.user}`] : []),
  ];
  const guards = keys.map((key) => ({ key, version: fences.get(key) ?? 0 }));
  // A task that ends or is suspended raises its fence (enforcement does the same).
  return task ? [...guards, { key: `task:${task.id}`, version: task.fence ?? 0 }] : guards;
}

const nameIn = (spiffeId: string) => spiffeId.slice(spiffeId.lastIndexOf('/') + 1);
