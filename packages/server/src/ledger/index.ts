export { createExport, type Export } from './export/index.ts';
export {
  createClockDoubt,
  createKeeping,
  createRetention,
  type Keeping,
  type Retention,
  scopeWords,
} from './keeping/index.ts';
export { type LedgerDependencies, openLedger } from './ledger.ts';
export { openPublishingPlace, type PublishingPlace } from './publishing-places.ts';
export { createReads, type Reads } from './reads.ts';
export { closeLogs } from './restored.ts';
export { searchLimits, textProblem } from './search/index.ts';
export { summarise } from './summary.ts';
export type * from './types.ts';
export { readWitnessPolicy } from './witness-policy.ts';
