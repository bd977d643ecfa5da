import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import type { Clock } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage, Tables } from '../../storage/index.ts';
import { about } from './rows.ts';
import { liveStates } from './types.ts';

export type Ending = ReturnType<typeof createEnding>;

/** Begins to end leases, in the transaction of whatever ends them. The reconciler does the rest. */
export function createEnding({
  storage,
  recordChange,
  clock,
}: {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
}) {
  async function endThose(
    transaction: DatabaseTransaction,
    those: (where: ExpressionBuilder<Tables, 'leases'>) => Expression<SqlBool>,
    by: string,
    reason: string,
  ): Promise<string[]> {
    const now = clock.now();
    const ended = await transaction
      .updateTable('leases')
      .set({
        state: 'revoking',
        revoking_at: now,
        next_try_at: now,
        reason: `${reason} (${by})`,
        sealed_credential: null,
      })
      .where(those)
      .where('state', 'in', ['intended', ...liveStates])
      .returning(['id', 'agent', 'task', 'provider', 'environment'])
      .execute();
    for (const { id, provider, ...row } of ended) {
      await recordChange(transaction, {
        operation: 'lease.revoke',
        by,
        ...about(row),
        changes: [`lease ${id} of ${provider} is being ended: ${reason}`],
      });
      await storage.announce(transaction, 'lease', id, now);
    }
    return ended.map(({ id }) => id);
  }

  return {
    /** Gives their ids. */
    within(
      transaction: DatabaseTransaction,
      of: { id: string } | { task: string } | { agent: string },
      by: string,
      reason: string,
    ): Promise<string[]> {
      const [[column, value]] = Object.entries(of) as [['id' | 'task' | 'agent', string]];
      return endThose(transaction, (where) => where(column, '=', value), by, reason);
    },
    /** What a restored workspace has left to the original. */
    async takeOverWithin(transaction: DatabaseTransaction, by: string): Promise<number> {
      const { numUpdatedRows } = await transaction
        .updateTable('leases')
        .set({ next_try_at: clock.now(), problem: null })
        .where('state', '=', 'revoking')
        .where('next_try_at', 'is', null)
        .executeTakeFirst();
      const taken = Number(numUpdatedRows);
      await recordChange(transaction, {
        operation: 'lease.take-over',
        by,
        changes: [`${taken} credentials of the workspace that this replaces are being ended`],
      });
      return taken;
    },
    /** What agents of this task have in their own hands. */
    handedOutWithin: (transaction: DatabaseTransaction, task: string, by: string, reason: string): Promise<string[]> =>
      endThose(transaction, (where) => where.and([where('task', '=', task), where('ungated', '=', 1)]), by, reason),
    /** The same with those whose task is over. */
    overWithin: (transaction: DatabaseTransaction, by: string, reason: string): Promise<string[]> =>
      endThose(
        transaction,
        (where) =>
          where('task', 'in', where.selectFrom('tasks').select('tasks.id').where('tasks.state', '<>', 'active')),
        by,
        reason,
      ),
  };
}
