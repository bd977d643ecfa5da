import type { Task } from '@gatehouse/protocol';
import { canonicalJson, GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import { setAgentStateWithin } from './agents.ts';
import { type ChangeSet, type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';
import { fromTaskRow } from './task-rows.ts';

/** Suspends the agent as well when so many of its tasks were suspended by the circuit breaker within this time. */
export interface AgentLimit {
  count: number;
  withinMs: number;
}

/**
 * Stops a task until a person lets it go on: nothing that was decided before is dispatched after it. Stopping what is stopped changes
 * nothing. What was handed on from it stops with it, because a chain acts only while all of it may.
 */
export async function suspendTask(
  context: Context,
  id: string,
  by: string,
  reason: string,
  agentLimit?: AgentLimit,
): Promise<{ task: Task; agentSuspended: boolean }> {
  const now = context.clock.now();
  const changes = emptyChangeSet();
  const done = await context.storage.transaction(async (transaction) => {
    const row = await activeRow(transaction, id, now);
    if (row.suspended !== null) return { task: fromTaskRow(row, now), agentSuspended: false };
    const after = {
      ...row,
      suspended: canonicalJson({ at: now, by, reason }),
      suspended_at: now,
      fence: row.fence + 1,
    };
    await write(transaction, after, changes);
    changes.records.push({
      operation: 'task.suspend',
      by,
      agent: row.agent,
      task: id,
      environment: row.environment,
      changes: [`suspended: ${reason}`],
    });
    await flush(context, transaction, changes);
    const agentSuspended = agentLimit !== undefined && (await isOver(transaction, row.agent, agentLimit, now));
    if (agentSuspended) await setAgentStateWithin(context, row.agent, 'suspended', by, { within: transaction });
    return { task: fromTaskRow(after, now), agentSuspended };
  });
  await showOwn(context, changes);
  return done;
}

/** Only a person does this. */
export async function resumeTask(context: Context, id: string, by: string): Promise<Task> {
  const now = context.clock.now();
  const changes = emptyChangeSet();
  const task = await context.storage.transaction(async (transaction) => {
    const row = await activeRow(transaction, id, now);
    if (row.suspended === null) return fromTaskRow(row, now);
    // The time stays: how often an agent was stopped is not forgotten because it was let go on.
    const after = { ...row, suspended: null, fence: row.fence + 1 };
    await write(transaction, after, changes);
    changes.records.push({
      operation: 'task.resume',
      by,
      agent: row.agent,
      task: id,
      environment: row.environment,
      changes: ['may go on'],
    });
    await flush(context, transaction, changes);
    return fromTaskRow(after, now);
  });
  await showOwn(context, changes);
  return task;
}

type Row = Awaited<ReturnType<typeof activeRow>>;

async function activeRow(transaction: DatabaseTransaction, id: string, now: number) {
  const row = await transaction.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw new GatehouseError('not-found', 'task.unknown', `There is no task "${id.slice(0, 64)}".`);
  if (fromTaskRow(row, now).state !== 'active')
    throw new GatehouseError('conflict', 'task.over', `The task ${id} is over. Start a new one.`);
  return row;
}

async function write(transaction: DatabaseTransaction, after: Row, changes: ChangeSet): Promise<void> {
  const { suspended, suspended_at, fence } = after;
  await transaction.updateTable('tasks').set({ suspended, suspended_at, fence }).where('id', '=', after.id).execute();
  raise(changes, `task:${after.id}`);
}

async function isOver(
  transaction: DatabaseTransaction,
  agent: string,
  { count, withinMs }: AgentLimit,
  now: number,
): Promise<boolean> {
  const { state } = await transaction
    .selectFrom('agents')
    .select('state')
    .where('name', '=', agent)
    .executeTakeFirstOrThrow();
  const recent = await transaction
    .selectFrom('tasks')
    .select('id')
    .where('agent', '=', agent)
    .where('suspended_at', '>', now - withinMs)
    .limit(count)
    .execute();
  return state === 'active' && recent.length >= count;
}
