import type { Clock } from '../platform/index.ts';
import type { DatabaseTransaction, Storage } from '../storage/index.ts';
import type { ApprovalRow } from './rows.ts';

/** Approvals that end in one transaction, which everything else that writes waits for. */
const ENDED_AT_ONCE = 100;

export interface SweepDependencies {
  storage: Storage;
  clock: Clock;
  recordMove(transaction: DatabaseTransaction, row: ApprovalRow, operation: string, by: string): Promise<void>;
}

/**
 * Ends what can no longer be used: what has run out, and what was asked by an agent that does not work any more or in a task that
 * has ended. Any replica may do it; each approval ends once.
 */
export function createSweep({ storage, clock, recordMove }: SweepDependencies) {
  const open = () =>
    storage.db
      .selectFrom('approvals')
      .select('approvals.id')
      .where('approvals.state', 'in', ['pending', 'approved'])
      .limit(ENDED_AT_ONCE);

  const runOut = () => open().where('approvals.expires_at', '<=', clock.now()).execute();

  const orphaned = () =>
    open()
      .leftJoin('tasks', 'tasks.id', 'approvals.task')
      .leftJoin('agents', 'agents.name', 'approvals.agent')
      .where((where) =>
        where.or([
          where('tasks.state', 'is', null),
          where('tasks.state', '!=', 'active'),
          where('agents.state', 'is', null),
          where('agents.state', '!=', 'active'),
        ]),
      )
      .execute();

  async function end(
    due: () => Promise<{ id: string }[]>,
    change: { state: string; decided_at?: number; decided_by?: string },
    operation: string,
  ): Promise<ApprovalRow[]> {
    const all: ApprovalRow[] = [];
    for (let rows = await due(); rows.length > 0; rows = await due()) {
      const ids = rows.map(({ id }) => id);
      const ended = await storage.transaction(async (transaction) => {
        const changed = await transaction
          .updateTable('approvals')
          .set(change)
          .where('id', 'in', ids)
          .where('state', 'in', ['pending', 'approved'])
          .returningAll()
          .execute();
        for (const row of changed) await recordMove(transaction, row, operation, 'gatehouse');
        return changed;
      });
      all.push(...ended);
    }
    return all;
  }

  return async (): Promise<{ expired: ApprovalRow[]; cancelled: ApprovalRow[] }> => ({
    expired: await end(runOut, { state: 'expired' }, 'approval.expire'),
    cancelled: await end(
      orphaned,
      { state: 'cancelled', decided_at: clock.now(), decided_by: 'gatehouse' },
      'approval.cancel',
    ),
  });
}
