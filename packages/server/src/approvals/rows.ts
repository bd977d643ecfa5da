import type { Approval, ApprovalState } from '@gatehouse/protocol';
import type { Selectable } from 'kysely';
import { canonicalJson } from '../platform/index.ts';
import type { Tables } from '../storage/index.ts';
import { endorsedBy } from './evidence.ts';
import { subjectDigest } from './subject.ts';
import type { ApprovalRequest, ApprovalSubject } from './types.ts';

export type ApprovalRow = Selectable<Tables['approvals']>;

/** The `body` of a row: the request as it was made. */
type Body = Omit<ApprovalRequest, 'actionId'>;

export function newRow(
  id: string,
  request: ApprovalRequest,
  times: { createdAt: number; expiresAt: number },
): ApprovalRow {
  const { actionId, ...body } = request;
  return {
    id,
    action_id: actionId,
    state: 'pending',
    digest: subjectDigest(request.subject),
    agent: request.subject.agent,
    task: request.subject.task,
    body: canonicalJson(body satisfies Body),
    created_at: times.createdAt,
    expires_at: times.expiresAt,
    decided_at: null,
    decided_by: null,
    reason: null,
    assertion: null,
    consumed_by: null,
  };
}

/** What has run out is shown as expired, whether or not the timer has been there. */
export function toApproval(row: ApprovalRow, now: number): Approval {
  const { subject, ...request } = JSON.parse(row.body) as Body;
  const { policyVersion: _, ...shown } = subject;
  const isOpen = row.state === 'pending' || row.state === 'approved';
  return {
    id: row.id,
    actionId: row.action_id,
    state: isOpen && row.expires_at <= now ? 'expired' : (row.state as ApprovalState),
    digest: row.digest,
    ...shown,
    // Those of before there was delegation have none.
    delegated: subject.delegated ?? null,
    ...request,
    // Those of before there was information flow have none.
    origins: request.origins ?? [],
    endorsed: endorsedBy(row.assertion),
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
  return isIntact ? subject : null;
}
