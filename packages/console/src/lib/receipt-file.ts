import type { ApprovalProof, Receipt } from '@gatehouse/protocol';

/** The file that `gatehouse log verify --receipt` reads. */
export const receiptFile = (
  action: string,
  receipts: Receipt[],
  { approvals = [], enrolments = [] }: { approvals?: ApprovalProof[]; enrolments?: Receipt[] } = {},
) => ({
  format: 'gatehouse-receipt/1',
  action,
  receipts,
  ...(approvals.length > 0 && { approvals }),
  ...(enrolments.length > 0 && { enrolments }),
});
