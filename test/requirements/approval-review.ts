import type { Requirement } from './requirement.ts';

/** What approvers see and sign, and what proves it. */
export const approvalReview: Requirement[] = [
  {
    id: 'approval.proof-offline',
    promise:
      'A yes verifies offline, link by link, from the record of the dispatch to the passkey that signed, and fails at the link that was changed',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'approval.receipt',
    promise:
      'The receipt of an approved action says who approved it, with which passkey, and that it was exactly this action',
    source: 'docs/how-to/verify-the-log.md',
  },
  {
    id: 'approval.list-exact',
    promise:
      'What one gesture signs is exactly one list of approvals and digests: no part, no more, no other order, no change',
    source: 'docs/explanation/approvals.md',
  },
];
