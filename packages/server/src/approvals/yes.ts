import type { EndorsedValue, GrantTerms } from '@gatehouse/protocol';
import type { VerifiedAssertion } from '../identity/index.ts';
import { canonicalJson, digestJson, GatehouseError } from '../platform/index.ts';
import type { Database, DatabaseTransaction } from '../storage/index.ts';
import { type Asked, inconsistent, notOpen, rowOf } from './asked.ts';
import { type ApprovalEvidence, evidenceOf } from './evidence.ts';
import type { Examination } from './examine.ts';
import { notAlone, type StandingGrants } from './grants/index.ts';
import type { Moves } from './moves.ts';
import { type ApprovalRow, endorsedByAll, subjectOf, toApproval, type VoteRow } from './rows.ts';
import { standingOf, whoMayApprove } from './rule/standing.ts';
import type { ListedApproval } from './subject.ts';
import type { ApprovalsDependencies } from './types.ts';
import { sealApproval } from './votes.ts';
import { rulesOf } from './who-may.ts';

const SECOND_MS = 1_000;

interface Yes {
  asked: Pick<Asked, 'row' | 'approval' | 'question' | 'votes'>;
  number: number;
  person: string;
  /** What proves it. */
  assertion: string;
  /** When it was said; now, unless another place kept it until we asked. */
  at?: number;
  changes: string[];
  granted?: { terms: GrantTerms; evidence: ApprovalEvidence };
}

/** What a yes is given with. `list`: all that the same gesture signed. */
interface SignedYes {
  id: string;
  digest: string;
  person: string;
  verified: VerifiedAssertion;
  endorse?: readonly EndorsedValue[];
  grant?: GrantTerms | undefined;
  list?: readonly ListedApproval[];
}

interface YesDependencies
  extends Pick<ApprovalsDependencies, 'sealer' | 'clock' | 'tell' | 'endorse'>,
    Examination,
    Pick<Moves, 'recordMove'> {
  grants: Pick<StandingGrants, 'give'>;
}

/** A yes, and what it brings about: the approval of what lacks no other. */
export function createYes({
  circleIn,
  examine,
  nextAnswer,
  requireOwnHand,
  recordMove,
  grants,
  sealer,
  clock,
  tell,
  endorse: keepEndorsed = async () => {
    throw new GatehouseError('internal', 'approval.endorse', 'Nothing keeps endorsed values here.');
  },
}: YesDependencies) {
  /** One person's yes with a passkey, whose use this transaction has counted. */
  async function yesWithin(
    transaction: DatabaseTransaction,
    { id, digest, person, verified, endorse = [], grant, list }: SignedYes,
  ): Promise<{ row: ApprovalRow; votes: readonly VoteRow[] }> {
    const number = await nextAnswer(transaction, id, ['pending']);
    const { row, approval, question, votes } = await examine(transaction, id, person);
    if (row.digest !== digest) throw inconsistent();
    await requireOwnHand(transaction, { approval, question }, { person, passkey: verified.passkey });
    const evidence = evidenceOf(row, verified, { endorse, grant, list });
    return give(transaction, {
      asked: { row, approval, question, votes },
      number,
      person,
      assertion: canonicalJson(evidence),
      changes: [`assertion ${digestJson(evidence)}`, `passkey ${verified.passkey.slice(0, 12)}`],
      ...(grant && { granted: { terms: grant, evidence } }),
    });
  }

  const seal = (transaction: DatabaseTransaction, row: ApprovalRow, votes: readonly VoteRow[]) =>
    transaction
      .updateTable('approvals')
      .set({ seal: sealApproval(sealer, row, votes) })
      .where('id', '=', row.id)
      .execute();

  /** One more yes; the approval is approved with the one that its rules lack. */
  async function give(
    transaction: DatabaseTransaction,
    { asked, number, person, assertion, at, changes, granted }: Yes,
  ): Promise<{ row: ApprovalRow; votes: VoteRow[] }> {
    const { row, approval, question, votes } = asked;
    const { id } = row;
    const now = clock.now();
    const vote: VoteRow = {
      approval: id,
      number,
      person,
      answer: 'yes',
      at: at ?? now,
      assertion,
      reason: null,
    };
    await transaction.insertInto('approval_votes').values(vote).execute();
    const all = [...votes, vote];
    const circle = await circleIn(transaction);
    const given = toApproval(row, all, now);
    const rules = rulesOf(given);
    const isMet = rules.every((rule) => standingOf(rule, given.votes, question, circle, now).isMet);
    if (!isMet && granted) throw notAlone();
    if (!isMet) {
      await seal(transaction, row, all);
      await recordMove(transaction, row, 'approval.vote', `person:${person}`, { changes: ['yes', ...changes] });
      const before = whoMayApprove(rules, approval.votes, question, circle, now);
      const after = whoMayApprove(rules, given.votes, question, circle, now);
      const fresh = after.filter((each) => !before.includes(each));
      if (fresh.length > 0) await tell?.onAsked?.(transaction, given, fresh);
      return { row: (await rowOf(transaction, id)) ?? row, votes: all };
    }
    const decided = {
      state: 'approved',
      decided_at: now,
      decided_by: person,
      assertion: vote.assertion,
      expires_at: Math.min(row.expires_at, ...rules.map((rule) => lastsUntil(rule, given.votes, now))),
    };
    const approved = await transaction
      .updateTable('approvals')
      .set({ ...decided, seal: sealApproval(sealer, { ...row, ...decided }, all) })
      .where('id', '=', id)
      .where('state', '=', 'pending')
      .where('digest', '=', row.digest)
      .where('expires_at', '>', now)
      .returningAll()
      .executeTakeFirst();
    if (!approved) throw notOpen(row, clock);
    const values = endorsedByAll(approved, all);
    const endorsed =
      values.length === 0 ? [] : await keepEndorsed(transaction, { approval: id, task: row.task, person, values });
    const grantLines = granted
      ? await grants.give(transaction, {
          ...(await grantableOf(transaction, approved)),
          approval: id,
          person,
          ...granted,
        })
      : [];
    await recordMove(transaction, approved, 'approval.approve', `person:${person}`, {
      changes: [...changes, ...endorsed, ...grantLines],
    });
    return { row: approved, votes: all };
  }

  return { yesWithin, give, seal };
}

/** What a grant of more calls like this one is measured by. */
export async function grantableOf(database: Database | DatabaseTransaction, row: ApprovalRow) {
  const subject = subjectOf(row);
  if (!subject) throw inconsistent();
  const task = await database.selectFrom('tasks').select('expires_at').where('id', '=', row.task).executeTakeFirst();
  const { decision } = toApproval(row, [], row.created_at);
  return { subject, digest: row.digest, decision, taskEndsAt: task?.expires_at ?? 0 };
}

/** The first of the yeses that does not last any longer. */
function lastsUntil(
  { yesLastsSeconds }: ReturnType<typeof rulesOf>[number],
  votes: readonly { person: string; answer: string; at: number }[],
  now: number,
): number {
  if (yesLastsSeconds === undefined) return Number.POSITIVE_INFINITY;
  const last = new Map<string, number>();
  for (const { person, answer, at } of votes) if (answer === 'yes') last.set(person, at);
  const counting = [...last.values()].map((at) => at + yesLastsSeconds * SECOND_MS).filter((until) => until > now);
  return Math.min(...counting);
}
