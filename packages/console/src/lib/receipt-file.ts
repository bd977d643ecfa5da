import type { Receipt } from '@gatehouse/protocol';

/** The file that `gatehouse log verify --receipt` reads. */
export const receiptFile = (action: string, receipts: Receipt[]) => ({
  format: 'gatehouse-receipt/1',
  action,
  receipts,
});
