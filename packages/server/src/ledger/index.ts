export { createExport, type Export } from './export/index.ts';
export { type LedgerDependencies, openLedger } from './ledger.ts';
export { closeLogs } from './restored.ts';
export type * from './types.ts';
