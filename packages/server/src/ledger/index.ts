export { type LedgerDependencies, openLedger } from './ledger.ts';
export type * from './types.ts';
