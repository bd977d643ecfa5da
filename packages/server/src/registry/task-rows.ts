import type { Narrowing, Suspension, Task, TaskParameters } from '@gatehouse/protocol';
import { canonicalJson } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { inChunks } from './chunks.ts';
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
    vouchedBy: row.vouched_by,
    state: state === 'active' && row.expires_at <= now ? 'ended' : state,
    suspended: row.suspended === null ? null : (JSON.parse(row.suspended) as Suspension),
    fence: row.fence,
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
    vouched_by: task.vouchedBy,
    suspended: task.suspended ? canonicalJson(task.suspended) : null,
    suspended_at: task.suspended?.at ?? null,
    fence: task.fence ?? 0,
  };
}

/** Whose tasks end: agents' own and all that they handed on, those for a person who leaves, those under a standing delegation, what was
 * handed on from one, some by their ids, or those that a workload vouches for. */
export type TasksOf =
  | { agents: readonly string[] }
  | { user: string }
  | { delegation: string }
  | { parent: string }
  | { ids: readonly string[] }
  | { vouchedBy: string };

/**
 * Ends running tasks as part of what happens to what they rest on, and with each all that was handed on from it (laws 5, 6).
 * Returns how many there were.
 */
export async function endTasksOf(
  transaction: DatabaseTransaction,
  of: TasksOf,
  state: 'ended' | 'killed',
  now: number,
  changes: ChangeSet,
): Promise<number> {
  const running = transaction
    .selectFrom('tasks')
    .select('id')
    .where('state', '=', 'active')
    .where('expires_at', '>', now);
  const childrenOf = (parents: Iterable<string>) =>
    inChunks(parents, (some) => running.where('parent', 'in', some).execute());
  let found: { id: string }[];
  if ('agents' in of) {
    const handedOn = transaction.selectFrom('task_actors').select('task');
    found = await inChunks(of.agents, async (some) => [
      ...(await running.where('agent', 'in', some).execute()),
      ...(await running.where('id', 'in', handedOn.where('agent', 'in', some)).execute()),
    ]);
  } else if ('ids' in of) found = of.ids.map((id) => ({ id }));
  else if ('user' in of) {
    found = await running.where('user_email', '=', of.user).execute();
    // They have left: whoever comes back under this address has delegated nothing.
    const revoked = await transaction
      .updateTable('delegations')
      .set({ revoked_at: now, revoked_by: 'gatehouse' })
      .where('user_email', '=', of.user)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', now)
      .returning(['id', 'agent'])
      .execute();
    for (const { id, agent } of revoked)
      changes.records.push({
        operation: 'delegation.revoke',
        by: 'gatehouse',
        agent,
        changes: [`delegation ${id} of ${of.user} to ${agent} revoked: they have left`],
      });
  } else if ('delegation' in of) found = await running.where('delegation', '=', of.delegation).execute();
  else if ('vouchedBy' in of) found = await running.where('vouched_by', '=', of.vouchedBy).execute();
  else found = await childrenOf([of.parent]);

  const ended = new Set<string>();
  // A chain is bounded, and so are these rounds.
  for (let round = found; round.length > 0; ) {
    const added = round.map(({ id }) => id).filter((id) => !ended.has(id));
    for (const id of added) ended.add(id);
    round = await childrenOf(added);
  }
  await inChunks(ended, async (some) => {
    await transaction.updateTable('tasks').set({ state, ended_at: now }).where('id', 'in', some).execute();
    return [];
  });
  for (const id of ended) raise(changes, `task:${id}`);
  return ended.size;
}
