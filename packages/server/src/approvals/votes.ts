import type { Database, DatabaseTransaction, Sealer } from '../storage/index.ts';
import { channelOf, channelYesProblem } from './channel-yes.ts';
import { evidenceProblem } from './evidence.ts';
import { type ApprovalRow, subjectOf, type VoteRow } from './rows.ts';

/** Answers to one approval: people change their mind, and a yes may have to be said again. */
export const ANSWERS_PER_APPROVAL = 100;

export async function votesOn(
  db: Database | DatabaseTransaction,
  approvals: readonly string[],
): Promise<ReadonlyMap<string, VoteRow[]>> {
  const found = new Map<string, VoteRow[]>();
  if (approvals.length === 0) return found;
  const rows = await db
    .selectFrom('approval_votes')
    .selectAll()
    .where('approval', 'in', [...approvals])
    .orderBy('approval')
    .orderBy('number')
    .execute();
  for (const row of rows) found.set(row.approval, [...(found.get(row.approval) ?? []), row]);
  return found;
}

/** What is wrong with a row and its answers, or null. Each yes is verified: what a database holds is worth what was signed. */
export function rowProblem(
  row: ApprovalRow,
  votes: readonly VoteRow[],
  { origin, sealer }: { origin: string; sealer: Sealer | undefined },
): string | null {
  if (!subjectOf(row)) return 'its digest is of another action';
  const problemOf = (assertion: string | null, decidedBy: string | null) => {
    const of = { id: row.id, digest: row.digest, decidedBy, origin };
    return assertion !== null && channelOf(assertion) !== undefined
      ? channelYesProblem(assertion, of, sealer)
      : evidenceProblem(assertion, of);
  };
  for (const { answer, person, assertion } of votes) {
    const problem = answer === 'yes' ? problemOf(assertion, person) : null;
    if (problem !== null) return `the yes of ${person}: ${problem}`;
  }
  return row.state === 'approved' ? problemOf(row.assertion, row.decided_by) : null;
}
