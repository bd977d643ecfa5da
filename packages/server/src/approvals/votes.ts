import type { PasskeyVerification } from '../identity/index.ts';
import type { Json } from '../platform/index.ts';
import { type Database, type DatabaseTransaction, rowSealProblem, type Sealer, sealRow } from '../storage/index.ts';
import { channelOf, channelYesProblem } from './channel-yes.ts';
import { keptYesProblem } from './evidence.ts';
import { type ApprovalRow, isErased, subjectOf, type VoteRow } from './rows.ts';

/** Answers to one approval: people change their mind, and a yes may have to be said again. */
export const ANSWERS_PER_APPROVAL = 100;

/** Those that were there when the row was read, and none that came in between. */
export async function votesOn(
  db: Database | DatabaseTransaction,
  approvals: readonly Pick<ApprovalRow, 'id' | 'answers'>[],
): Promise<ReadonlyMap<string, VoteRow[]>> {
  const found = new Map<string, VoteRow[]>();
  if (approvals.length === 0) return found;
  const rows = await db
    .selectFrom('approval_votes')
    .selectAll()
    .where(
      'approval',
      'in',
      approvals.map(({ id }) => id),
    )
    .orderBy('approval')
    .orderBy('number')
    .execute();
  const answers = new Map(approvals.map((row) => [row.id, row.answers]));
  for (const row of rows)
    if (row.number <= (answers.get(row.approval) ?? 0))
      found.set(row.approval, [...(found.get(row.approval) ?? []), row]);
  return found;
}

/** What is wrong with a row and its answers, or null. Each yes is verified: what a database holds is worth what was signed. */
export async function rowProblem(
  row: ApprovalRow,
  votes: readonly VoteRow[],
  { origin, sealer, people }: SealedBy,
): Promise<string | null> {
  if (!isErased(row) && !subjectOf(row)) return 'its digest is of another action';
  const problemOf = async (assertion: string | null, decidedBy: string | null) => {
    const of = { id: row.id, digest: row.digest, decidedBy, origin };
    return assertion !== null && channelOf(assertion) !== undefined
      ? channelYesProblem(assertion, of, sealer)
      : keptYesProblem(assertion, of, people);
  };
  for (const { answer, person, assertion } of votes) {
    const problem = answer === 'yes' ? await problemOf(assertion, person) : null;
    if (problem !== null) return `the yes of ${person}: ${problem}`;
  }
  const last = row.state === 'approved' ? await problemOf(row.assertion, row.decided_by) : null;
  return last ?? (isOpen(row) ? rowSealProblem(sealer, 'approvals', row.id, deciding(row, votes), row.seal) : null);
}

/** What rows are verified with. */
export interface SealedBy {
  origin: string;
  sealer: Sealer;
  people: Pick<PasskeyVerification, 'wasEnrolled'>;
}

const isOpen = ({ state }: ApprovalRow) => state === 'pending' || state === 'approved';

/** All of an open approval that decides, with every answer to it: none can be put in, changed or left out. */
export function sealApproval(sealer: Sealer, row: ApprovalRow, votes: readonly VoteRow[]): Uint8Array {
  return sealRow(sealer, 'approvals', row.id, deciding(row, votes));
}

const deciding = (row: ApprovalRow, votes: readonly VoteRow[]): Json => ({
  v: 1,
  action: row.action_id,
  state: row.state,
  digest: row.digest,
  agent: row.agent,
  task: row.task,
  tool: row.tool,
  body: row.body,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  decidedAt: row.decided_at,
  decidedBy: row.decided_by,
  assertion: row.assertion,
  escalatedSeconds: row.escalated_seconds,
  votes: votes.map(({ number, person, answer, at, assertion, reason }) => ({
    number,
    person,
    answer,
    at,
    assertion,
    reason,
  })),
});
