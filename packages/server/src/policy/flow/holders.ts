import type { Task } from '@gatehouse/protocol';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { holderOfAgent, holderOfAgentFor, holderOfTask } from './held.ts';

/** A task, with the agent whose it is. */
export interface Link {
  agent: string;
  task: Task;
}

/** Somebody who is not the agent stands behind what the task was told. */
export const isVouched = ({ vouchedBy }: Task): boolean => vouchedBy !== null;

/** The person for whom it acts has said yes to what its agent, or a client of it, has written. */
export const isConsented = ({ vouchedBy, user }: Task): boolean => user !== null && vouchedBy === `person:${user}`;

/**
 * Whose labels count for a task: its own; what its agent has seen, where it started the task itself; and, where a person consented to it, what
 * the agent has lately seen for that person or for nobody. Whoever else starts a task has written what it says, so that it begins clean.
 */
export function holdersOfLink({ agent, task }: Link): string[] {
  const own = holderOfTask(task.id);
  return [own, ...knowledgeOf({ agent, task })];
}

/** Under which what its agent knows from other tasks is kept, as far as it counts for this one. */
export function knowledgeOf({ agent, task }: Link): string[] {
  if (!isVouched(task)) return [holderOfAgent(agent)];
  return isConsented(task) ? [holderOfAgentFor(agent, null), holderOfAgentFor(agent, task.user)] : [];
}

export const agentHolders = (agent: string, user: string | null): string[] => [
  holderOfAgent(agent),
  holderOfAgentFor(agent, user),
];

/** Who has seen what a task has seen. */
export const writtenFor = (agent: string, task: Task): string[] => [
  holderOfTask(task.id),
  ...agentHolders(agent, task.user),
];

/** The agents of running tasks that were handed on by one of these, with for whom. */
export async function helpersOf(
  transaction: DatabaseTransaction,
  links: readonly Link[],
  now: number,
): Promise<{ agent: string; user: string | null }[]> {
  return transaction
    .selectFrom('task_actors as a')
    .innerJoin('tasks as t', 't.id', 'a.task')
    .select(['t.agent', 't.user_email as user'])
    .distinct()
    .where(
      'a.agent',
      'in',
      links.map(({ agent }) => agent),
    )
    .where('t.state', '=', 'active')
    .where('t.expires_at', '>', now)
    .execute();
}
