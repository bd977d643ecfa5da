import type { Narrowing, Task, TaskParameters } from '@gatehouse/protocol';
import { canonicalJson } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { type ChangeSet, raise } from './context.ts';

/** An active task whose time is over reads as ended: nobody has to write that for it to be true. */
export function fromTaskRow(row: Tables['tasks'], now: number): Task {
  const state = row.state as Task['state'];
  return {
    id: row.id,
    agent: row.agent,
    environment: row.environment,
    template: row.template,
    parameters: JSON.parse(row.parameters) as TaskParameters,
    intent: row.intent,
    onBehalfOf: row.on_behalf_of,
    requestedBy: row.requested_by,
    ticket: row.ticket,
    changeRequest: row.change_request,
    modelProvider: row.model_provider,
    model: row.model,
    user: row.user_email,
    delegation: row.delegation,
    parent: row.parent,
    actors: JSON.parse(row.actors) as Task['actors'],
    narrowing: row.narrowing === null ? null : (JSON.parse(row.narrowing) as Narrowing),
    state: state === 'active' && row.expires_at <= now ? 'ended' : state,
    startedAt: row.started_at,
    expiresAt: row.expires_at,
  };
}

export function toTaskRow(task: Task): Tables['tasks'] {
  return {
    id: task.id,
    agent: task.agent,
    environment: task.environment,
    template: task.template,
    parameters: canonicalJson(task.parameters),
    intent: task.intent,
    on_behalf_of: task.onBehalfOf,
    requested_by: task.requestedBy,
    ticket: task.ticket,
    change_request: task.changeRequest,
    model_provider: task.modelProvider,
    model: task.model,
    state: task.state,
    started_at: task.startedAt,
    expires_at: task.expiresAt,
    ended_at: null,
    user_email: task.user,
    delegation: task.delegation,
    parent: task.parent,
    actors: JSON.stringify(task.actors),
    narrowing: task.narrowing === null ? null : JSON.stringify(task.narrowing),
  };
}

/** Ends every running task of an agent, as part of what happens to the agent. Returns how many there were. */
export async function endTasksOf(
  transaction: DatabaseTransaction,
  agent: string,
  state: 'ended' | 'killed',
  now: number,
  changes: ChangeSet,
): Promise<number> {
  const running = await transaction
    .selectFrom('tasks')
    .select('id')
    .where('agent', '=', agent)
    .where('state', '=', 'active')
    .where('expires_at', '>', now)
    .execute();
  if (running.length === 0) return 0;
  await transaction
    .updateTable('tasks')
    .set({ state, ended_at: now })
    .where('agent', '=', agent)
    .where('state', '=', 'active')
    .where('expires_at', '>', now)
    .execute();
  for (const { id } of running) {
    raise(changes, `task:${id}`);
  }
  return running.length;
}
