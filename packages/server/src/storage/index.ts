export {
  type Amounts,
  advance,
  BUCKETS,
  type CounterSpend,
  type CounterWindow,
  type Limited,
  type OverBudget,
  parseState,
  type Settle,
  type Spend,
  usedOf,
  wouldBeOver,
} from './counters.ts';
export {
  type History,
  type HistoryAfter,
  type HistoryPlace,
  historyPlace,
  openHistory,
  openReading,
  type Reading,
  type RecordedDecision,
} from './history.ts';
export {
  createRewrapper,
  defaultKeyFile,
  type HeldKey,
  type KeyEncryptionState,
  type KeyRing,
  keyEncryptionKeyOf,
  openKeyRing,
  type Rewrapper,
  recordAddedKeys,
  requireKeys,
} from './key-encryption/index.ts';
export { lackedKey } from './lacked-key.ts';
export { logSize } from './log-size.ts';
export { openStorage } from './open.ts';
export { type CallEnd, type OpenCall, type OpenCallRow, type Twin, twinOf } from './open-calls.ts';
export { openSearchSession, postgresClient, RESTORE_MARK } from './postgres-connection.ts';
export { openReports } from './reports.ts';
export { rowSealProblem, sealRow } from './row-seal.ts';
export { type SigningKeyPurpose, signingKeyPurposes, type Tables } from './schema/index.ts';
export { sealOnce } from './seal-once.ts';
export { createSealer, type KeyEncryptionKeys, type Sealer } from './sealer.ts';
export {
  type AdministrativeChange,
  type BodyRow,
  type Change,
  type ChangeFeed,
  type ChangeTopic,
  type Database,
  type DatabaseTransaction,
  FEED_LEASE_MS,
  type Guard,
  type LogUnit,
  type LogUnitResult,
  type RecordChange,
  type RecordGuarded,
  type RecordRow,
  type Storage,
} from './storage.ts';
