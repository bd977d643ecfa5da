import type { ApprovalProof } from './approval-proof.ts';

/** What approvers are shown and asked, beyond single approvals. */
export interface ApprovalReviewApi {
  'GET /approvals/:id/proof': ApprovalProof;
}
