import type { Approval } from '@gatehouse/protocol';
import type { Database, Sealer } from '../storage/index.ts';
import { toApproval } from './rows.ts';
import { rowProblem, votesOn } from './votes.ts';

/** Statements have a bounded number of parameters. */
const AT_ONCE = 500;

/** Approvals as they stand in the database, whatever became of them, each with what does not hold together in it (or null). For audits. */
export async function inspectApprovals(
  db: Database,
  ids: readonly string[],
  by: { origin: string; sealer: Sealer },
): Promise<{ approval: Approval; problem: string | null }[]> {
  const found: { approval: Approval; problem: string | null }[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const rows = await db
      .selectFrom('approvals')
      .selectAll()
      .where('id', 'in', ids.slice(at, at + AT_ONCE))
      .execute();
    const votes = await votesOn(db, rows);
    for (const row of rows) {
      const own = votes.get(row.id) ?? [];
      found.push({ approval: toApproval(row, own, row.created_at), problem: rowProblem(row, own, by) });
    }
  }
  return found;
}
