import type { Requirement } from './requirement.ts';

/** What auditors are shown. */
export const evidence: Requirement[] = [
  {
    id: 'evidence.rows',
    promise:
      'Every control of a framework has a row: what was asked of the workspace’s own data and what came of it, or why it is not covered',
    source: 'docs/how-to/answer-an-auditor.md',
  },
  {
    id: 'evidence.not-met',
    promise: 'When what supports a row is deleted or changed, the row is not met',
    source: 'docs/how-to/answer-an-auditor.md',
  },
  {
    id: 'evidence.bounded',
    promise: 'A report reads records once for each question, on a connection of its own, and one is made at a time',
    source: 'docs/how-to/answer-an-auditor.md',
  },
  {
    id: 'evidence.signed',
    promise: 'A report is on record with its digest, and anybody verifies it and its receipts offline',
    source: 'docs/how-to/answer-an-auditor.md',
  },
];
