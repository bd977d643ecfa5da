/**
 * Gatehouse's offline verifier: shows with nothing but a public key that a record is in a log, and that a log is whole.
 * No dependency; runs in Node and in browsers (WebCrypto for Ed25519). What verification relies on is in verify.ts,
 * note.ts, merkle.ts and sha256.ts, in this order of reading; tiles.ts is for those who keep a log.
 *
 * Every function that hashes takes a SHA-256 as its last argument or as `sha256`; the default is portable. In Node pass
 * `nodeSha256` of `@gatehouse/verifier/node`.
 */

export { type AddCheckpoint, cosignaturesIn, formatAddCheckpoint, parseAddCheckpoint } from './add-checkpoint.ts';
export {
  type ApprovalProof,
  type ApprovalReport,
  listChallenge,
  MAX_LIST,
  type ProvenRecord,
  verifyApproval,
  type YesEvidence,
  type YesSaid,
  yesChallenge,
} from './approval.ts';
export { confirmedReader, rootOfTile, type TileSource } from './confirmed.ts';
export {
  appendLeaf,
  copyTree,
  emptyTree,
  leafHash,
  nodeHash,
  sameBytes,
  type Tree,
  treeRoot,
  VerifierError,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';
export { absentLog, logsNamedIn, missingLog, type NamedLog } from './named-logs.ts';
export {
  type Checkpoint,
  type Cosignature,
  cosignedText,
  formatCheckpoint,
  formatNote,
  formatTlogProof,
  formatVerifierKey,
  type NoteSignature,
  type OpenedCheckpoint,
  openCheckpoint,
  openNote,
  parseCheckpoint,
  parseTlogProof,
  parseVerifierKey,
  SIGNATURE_TYPE,
  type TlogProof,
  type VerifierKey,
  verifierKey,
} from './note.ts';
export { canonicalJson, digestOf, type YesLink } from './passkey.ts';
export { type Policy, parsePolicy, quorumOf, type Witness } from './policy.ts';
export {
  MAX_RESOURCE_BYTES,
  type PublishedLog,
  type PublishedReport,
  verifyPublished,
} from './published.ts';
export { type RangeProof, type RangeReport, type RangeToVerify, rangeProof, verifyRange } from './range.ts';
export {
  type Checked,
  parseReceiptFile,
  type ReceiptFile,
  secondYesInWords,
  verifyReceiptFile,
  verifySecondYes,
} from './receipt-file.ts';
export {
  emptyAbsences,
  explained,
  formatRanges,
  MAX_REMOVED,
  noteAbsent,
  parseRanges,
  type Removal,
  removalDigest,
  removalIn,
  removalsInWords,
  verifyTogether,
} from './removals.ts';
export {
  countSecondYeses,
  createSecondYesReader,
  enrolmentsIn,
  notEnrolled,
  type SecondYesCount,
  type SecondYesReader,
  type SecondYesReport,
  type SecondYesSaid,
  secondYesIn,
  secondYesLines,
} from './second-yes.ts';
export { type Sha256, sha256 } from './sha256.ts';
export { fetchSource } from './sources.ts';
export {
  consistencyProof,
  decodeEntryBundle,
  encodeEntryBundle,
  type HashReader,
  inclusionProof,
  MAX_ENTRY_BYTES,
  parseTilePath,
  rootFromHashes,
  TILE_WIDTH,
  type TileName,
  tileHashReader,
  tilePath,
} from './tiles.ts';
export {
  type Fault,
  type FaultKind,
  type LogReport,
  type LogToVerify,
  type ReceiptReport,
  type RemovalReport,
  type Trust,
  verifyLog,
  verifyReceipt,
} from './verify.ts';
