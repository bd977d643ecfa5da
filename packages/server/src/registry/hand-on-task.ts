import type { Task } from '@gatehouse/protocol';
import { limits } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import type { Context } from './context.ts';
import { refused } from './may-start.ts';
import { spiffeId } from './snapshot.ts';
import { fromTaskRow } from './task-rows.ts';
import type { TaskGrounds } from './tasks.ts';

/**
 * The task that is handed on, read in the transaction that starts the next one: it and all that it was handed on from are running, and
 * each of their agents is active (laws 5, 6).
 */
export async function handOn(
  context: Context,
  transaction: DatabaseTransaction,
  { parent: id, ...others }: TaskGrounds,
  environment: string,
): Promise<{ parent: Task; chain: Task[]; actors: Task['actors'] }> {
  if (others.user !== undefined || others.delegation !== undefined)
    throw refused(
      'internal',
      'task.grounds',
      'Of a task that is handed on, user and delegation are those of its parent.',
    );
  const parent = await readTask(context, transaction, id as string);
  if (parent?.state !== 'active')
    throw refused('gone', 'task.over', `Task ${id} is over, and a task that is over is not handed on.`);
  if (parent.suspended)
    throw refused('forbidden', 'task.suspended', `Task ${id} is suspended, and is not handed on until it may go on.`);
  if (parent.environment !== environment)
    throw refused(
      'forbidden',
      'task.environment',
      `Task ${id} runs in environment "${parent.environment}" and can't be handed on to "${environment}".`,
    );
  const chain = [parent];
  for (let at = parent; at.parent !== null; ) {
    const above = await readTask(context, transaction, at.parent);
    if (above?.state !== 'active' || above.suspended)
      throw refused('gone', 'task.over', `Task ${at.parent}, from which ${at.id} was handed on, is over or suspended.`);
    chain.push(above);
    at = above;
  }
  const agents = chain.map((each) => each.agent);
  // The new task's own agent is in the chain too.
  if (agents.length >= limits.actorChainDepth)
    throw refused(
      'bad-request',
      'task.chain-depth',
      `A task may have ${limits.actorChainDepth} agents in its chain. Let an agent nearer to its beginning do this.`,
    );
  const rows = await transaction.selectFrom('agents').select(['name', 'state']).where('name', 'in', agents).execute();
  const active = new Set(rows.filter(({ state }) => state === 'active').map(({ name }) => name));
  const stopped = agents.find((name) => !active.has(name));
  if (stopped !== undefined)
    throw refused('forbidden', 'agent.chain', `The agent "${stopped}", which is in the chain of ${id}, is not active.`);
  const self = { sub: spiffeId(context.trustDomain, parent.environment, parent.agent), profile: 'ai_agent' as const };
  return { parent, chain, actors: [self, ...parent.actors] };
}

async function readTask(context: Context, transaction: DatabaseTransaction, id: string): Promise<Task | undefined> {
  const row = await transaction.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
  return row && fromTaskRow(row, context.clock.now());
}

/** A chain is a line: an agent that stood in it twice could lengthen its own task's life, and hide who asked whom. */
export function refuseCycle(agent: string, chain: string[]): void {
  if (!chain.includes(agent)) return;
  throw refused('bad-request', 'task.chain-cycle', `The agent "${agent}" is in the chain of this task already.`);
}
