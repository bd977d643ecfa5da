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
  {
    id: 'approval.context',
    promise:
      'Before a yes an approver is told what was approved last of the kind, what the task has read, who vouches for it, and what was said to it before',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'approval.undo',
    promise:
      'Whether an action can be undone is said by an operator; a server’s annotation only makes it worse, and what nobody has said counts as no',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'approval.statistics',
    promise:
      'How fast and how often people say yes is shown, of everybody to security and auditors, and to each person of themselves',
    source: 'docs/how-to/review-approvals.md',
  },
  {
    id: 'approval.alone',
    promise:
      'What is held for what its task has read, is unusual for its agent, or can’t be undone is signed alone, never in a list',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'approval.list',
    promise:
      'Several actions of one kind are approved with one gesture, all or none; each is used and recorded by itself, with evidence of its own',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'approval.list-policies',
    promise: 'What the control policies keep from a person one by one, they can’t approve in a list',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'console.approve-and-verify',
    promise:
      'A person approves from the inbox by keyboard with a passkey, and then verifies on the action’s page who signed exactly that',
    source: 'docs/how-to/review-approvals.md',
  },
  {
    id: 'console.approval-diff',
    promise:
      'The page of an approval shows what differs from the last one that was approved, and what others wrote as text with hidden characters shown',
    source: 'docs/how-to/review-approvals.md',
  },
  {
    id: 'console.approval-list',
    promise: 'Rows that are ticked in a list are signed with one gesture, and never a list other than the one shown',
    source: 'docs/how-to/review-approvals.md',
  },
  {
    id: 'approval.inbox',
    promise:
      'The inbox gives what waits by risk, page by page without an end to their number, and only what somebody can answer if they ask for that',
    source: 'docs/explanation/approvals.md',
  },
  {
    id: 'approval.looks',
    promise:
      'Whoever reads the arguments of what waits for people is in the record: once for each approval in five minutes, lists counted, proofs by name',
    source: 'docs/how-to/search-the-record.md',
  },
];
