import type { Task } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { Agent, Snapshot } from '../../registry/index.ts';
import { whyStopped } from '../tokens/authenticate.ts';

type Chained = Pick<Task, 'id' | 'actors'>;
type Agents = Pick<Snapshot, 'agents'>;

/** Why somebody who handed the task on may not act now; undefined while all of them may. */
export function whyChainStopped({ id, actors }: Chained, { agents }: Agents): string | undefined {
  for (const { sub } of actors) {
    const agent = agents.get(nameIn(sub));
    const why = agent ? whyStopped(agent)?.message : `There is no agent ${sub} any more.`;
    if (why !== undefined) return `${why} It handed on the task ${id}.`;
  }
  return undefined;
}

/** Who handed the task on, each of them active: nothing is made for a task while anybody of its chain is stopped (laws 5, 6). */
export function standingChain(task: Chained, snapshot: Agents): Agent[] {
  const why = whyChainStopped(task, snapshot);
  if (why !== undefined) throw new GatehouseError('forbidden', 'agent.chain', why);
  return task.actors.flatMap(({ sub }) => snapshot.agents.get(nameIn(sub)) ?? []);
}

const nameIn = (spiffeId: string) => spiffeId.slice(spiffeId.lastIndexOf('/') + 1);
