import type { Task } from '@gatehouse/protocol';
import type { DatabaseTransaction } from '../storage/index.ts';
import { type ChangeSet, type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';
import { refused } from './may-start.ts';
import { endTasksOf, fromTaskRow } from './task-rows.ts';

/** Ending what has ended says so again and writes nothing. As part of a larger transaction it is shown by the feed. */
export async function endTask(context: Context, id: string, by: string, within?: DatabaseTransaction): Promise<Task> {
  const work = (transaction: DatabaseTransaction) => endTaskIn(context, transaction, id, by);
  if (within) return (await work(within)).task;
  const { task, changes } = await context.storage.transaction(work);
  await showOwn(context, changes);
  return task;
}

async function endTaskIn(
  context: Context,
  transaction: DatabaseTransaction,
  id: string,
  by: string,
): Promise<{ task: Task; changes: ChangeSet }> {
  const changes = emptyChangeSet();
  const now = context.clock.now();
  const row = await transaction.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw refused('not-found', 'task.unknown', `There is no task "${id.slice(0, 64)}".`);
  if (row.state !== 'active') return { task: fromTaskRow(row, now), changes };
  await transaction.updateTable('tasks').set({ state: 'ended', ended_at: now }).where('id', '=', id).execute();
  raise(changes, `task:${id}`);
  const handedOn = await endTasksOf(transaction, { parent: id }, 'ended', now, changes);
  changes.records.push({
    operation: 'task.end',
    by,
    agent: row.agent,
    task: id,
    environment: row.environment,
    changes: [
      row.expires_at <= now ? 'ended; its time was over before' : 'ended',
      ...(handedOn > 0 ? [`${handedOn} tasks ended with it: they were handed on from it`] : []),
    ],
  });
  await flush(context, transaction, changes);
  return { task: fromTaskRow({ ...row, state: 'ended' }, now), changes };
}

/** Part of a larger transaction, like the end of a standing delegation; the feed shows it to every replica. */
export async function endTasks(
  context: Context,
  transaction: DatabaseTransaction,
  of: { delegation: string },
  by: string,
): Promise<number> {
  const changes = emptyChangeSet();
  const ended = await endTasksOf(transaction, of, 'ended', context.clock.now(), changes);
  if (ended > 0)
    changes.records.push({
      operation: 'task.end',
      by,
      changes: [`${ended} tasks ended: they rested on the delegation ${of.delegation}`],
    });
  await flush(context, transaction, changes);
  return ended;
}
