import type { Approval } from '@gatehouse/protocol';
import type { Database } from '../storage/index.ts';
import { type ApprovalRow, isErased, toApproval } from './rows.ts';
import { rowProblem, type SealedBy, votesOn } from './votes.ts';

/** Statements have a bounded number of parameters. */
const AT_ONCE = 500;

const BLANKED = 'its arguments are gone, though those of its action are there';

/** An erasure takes the arguments from an action before it takes them from its approval: what lacks them alone was changed by hand. */
async function blankedAlone(db: Database, erased: readonly ApprovalRow[]): Promise<ReadonlySet<string>> {
  const actions = erased.flatMap(({ action_id, consumed_by }) => [action_id, consumed_by ?? action_id]);
  if (actions.length === 0) return new Set();
  const bodies = await db
    .selectFrom('bodies')
    .select('action_id')
    .where('action_id', 'in', actions)
    .where('body', 'is not', null)
    .execute();
  const there = new Set(bodies.map(({ action_id }) => action_id));
  return new Set(
    erased.filter((row) => there.has(row.action_id) || there.has(row.consumed_by ?? '')).map(({ id }) => id),
  );
}

/** Approvals as they stand in the database, whatever became of them, each with what does not hold together in it (or null). For audits. */
export async function inspectApprovals(
  db: Database,
  ids: readonly string[],
  by: SealedBy,
): Promise<{ approval: Approval; problem: string | null }[]> {
  const found: { approval: Approval; problem: string | null }[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const rows = await db
      .selectFrom('approvals')
      .selectAll()
      .where('id', 'in', ids.slice(at, at + AT_ONCE))
      .execute();
    const votes = await votesOn(db, rows);
    const blanked = await blankedAlone(db, rows.filter(isErased));
    for (const row of rows) {
      const own = votes.get(row.id) ?? [];
      found.push({
        approval: toApproval(row, own, row.created_at),
        problem: blanked.has(row.id) ? BLANKED : await rowProblem(row, own, by),
      });
    }
  }
  return found;
}
