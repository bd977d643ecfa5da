import type { Approval, ApprovalState, ApprovalVote, EndorsedValue, Undo } from '@gatehouse/protocol';
import type { Selectable } from 'kysely';
import { canonicalJson } from '../platform/index.ts';
import type { Tables } from '../storage/index.ts';
import { saidIn } from './channel-yes.ts';
import { endorsedBy } from './evidence.ts';
import { whyAlone } from './risk.ts';
import { subjectDigest } from './subject.ts';
import type { ApprovalRequest, ApprovalSubject } from './types.ts';

export type ApprovalRow = Selectable<Tables['approvals']>;

export type VoteRow = Selectable<Tables['approval_votes']>;

/** The `body` of a row: the request as it was made. */
type Body = Omit<ApprovalRequest, 'actionId'> & { policyAuthors?: string[] };

export function newRow(
  id: string,
  { actionId, ...request }: ApprovalRequest,
  { policyAuthors, createdAt, expiresAt }: { policyAuthors: string[]; createdAt: number; expiresAt: number },
): ApprovalRow {
  const body: Body = { ...request, ...(policyAuthors.length > 0 && { policyAuthors }) };
  return {
    id,
    action_id: actionId,
    state: 'pending',
    digest: subjectDigest(request.subject),
    agent: request.subject.agent,
    task: request.subject.task,
    tool: request.subject.tool,
    asked_for: request.subject.delegated?.user ?? null,
    risk: request.risk?.score ?? 0,
    body: canonicalJson(body),
    created_at: createdAt,
    expires_at: expiresAt,
    decided_at: null,
    decided_by: null,
    reason: null,
    assertion: null,
    consumed_by: null,
    answers: 0,
    escalated_seconds: 0,
    seal: null,
    erasure: null,
  };
}

const UNKNOWN_UNDO: Undo = { possible: 'no', how: null, withinSeconds: null, isSaid: false, isDestructive: false };

/** What has run out is shown as expired, whether or not the timer has been there. */
export function toApproval(row: ApprovalRow, votes: readonly VoteRow[], now: number): Approval {
  const { subject, policyAuthors = [], ...request } = JSON.parse(row.body) as Body;
  const { policyVersion: _, ...shown } = subject;
  const isOpen = row.state === 'pending' || row.state === 'approved';
  // Those from before have none of these.
  const { origins = [], undo = UNKNOWN_UNDO } = request;
  return {
    id: row.id,
    actionId: row.action_id,
    state: isOpen && row.expires_at <= now ? 'expired' : (row.state as ApprovalState),
    digest: row.digest,
    ...shown,
    // Those of before there was delegation have none.
    delegated: subject.delegated ?? null,
    rules: [...(subject.rules ?? [])],
    votes: votesOf(row, votes),
    policyAuthors,
    escalatedSeconds: row.escalated_seconds,
    ...request,
    origins,
    undo,
    risk: request.risk ?? { score: 0, reasons: [] },
    alone: whyAlone({ ...shown, ...request, origins, undo }),
    endorsed: row.assertion === null ? [] : endorsedByAll(row, votes),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    decidedAt: row.decided_at,
    decidedBy: row.decided_by,
    reason: row.reason,
  };
}

/** What the row says is approved, or null when its digest is not of what it shows: then somebody has changed the row. */
export function subjectOf(row: ApprovalRow): ApprovalSubject | null {
  const { subject } = JSON.parse(row.body) as Body;
  const isIntact = subjectDigest(subject) === row.digest && subject.agent === row.agent && subject.task === row.task;
  const isWhole = subject.argumentsDigest === undefined || subject.argumentsSalt !== undefined || isErased(row);
  return isIntact && isWhole ? subject : null;
}

/**
 * Whether its arguments were erased: only of what is over, and nothing of them may be left.
 */
export function isErased(row: ApprovalRow): boolean {
  const { subject } = JSON.parse(row.body) as Body;
  const isOver = row.state !== 'pending' && row.state !== 'approved';
  const isOurs = subject.agent === row.agent && subject.task === row.task && subject.tool === row.tool;
  // With the digest of what they were, what was signed can be computed still.
  if (subject.argumentsDigest !== undefined && subjectDigest(subject) !== row.digest) return false;
  return isOver && isOurs && row.erasure === 'done' && subject.arguments === null;
}

/** Those from before votes were kept have their yes in the row. */
function votesOf(row: ApprovalRow, votes: readonly VoteRow[]): ApprovalVote[] {
  const { decided_by: person, decided_at: at } = row;
  if (votes.length === 0 && row.assertion !== null && person !== null && at !== null)
    return [{ number: 1, person, answer: 'yes', at, reason: null, ...saidIn(row.assertion) }];
  return votes.map(({ number, person: by, answer, at: when, reason, assertion }) => {
    return {
      number,
      person: by,
      answer: answer as ApprovalVote['answer'],
      at: when,
      reason,
      ...saidIn(assertion),
    };
  });
}

/** A value stands only if everybody who said yes lets it stand. */
export function endorsedByAll(row: Pick<ApprovalRow, 'assertion'>, votes: readonly VoteRow[]): EndorsedValue[] {
  const kept = votes.flatMap(({ assertion }) => (assertion === null ? [] : [endorsedBy(assertion)]));
  const key = (each: EndorsedValue) => canonicalJson(each);
  return endorsedBy(row.assertion).filter((each) => kept.every((all) => all.some((other) => key(other) === key(each))));
}
