import type { Delegation, TaskParameters } from '@gatehouse/protocol';
import type { Tables } from '../../storage/index.ts';

export type DelegationRow = Tables['delegations'];

/** As it is now: that its time is over, or its review due, nobody has to write for it to be true. */
export function fromDelegationRow(row: DelegationRow, now: number): Delegation {
  const state =
    row.revoked_at !== null
      ? 'revoked'
      : row.expires_at <= now
        ? 'expired'
        : row.review_due_at <= now
          ? 'review-due'
          : 'active';
  return {
    id: row.id,
    user: row.user_email,
    agent: row.agent,
    template: row.template,
    parameters: JSON.parse(row.parameters) as TaskParameters,
    tools: row.tools === null ? null : (JSON.parse(row.tools) as string[]),
    taskTtlSeconds: row.task_ttl_seconds,
    maxTasksPerDay: row.max_tasks_per_day,
    state,
    createdAt: row.created_at,
    via: row.via,
    expiresAt: row.expires_at,
    reviewDueAt: row.review_due_at,
    reviewedAt: row.reviewed_at,
    revokedAt: row.revoked_at,
    revokedBy: row.revoked_by,
    used: row.used,
    lastUsedAt: row.last_used_at,
  };
}
