/**
 * Gatehouse's offline verifier: shows with nothing but a public key that a record is in a log, and that a log is whole.
 * No dependency; runs in Node and in browsers (WebCrypto for Ed25519). What verification relies on is in verify.ts,
 * note.ts, merkle.ts and sha256.ts, in this order of reading; tiles.ts is for those who keep a log.
 *
 * Every function that hashes takes a SHA-256 as its last argument or as `sha256`; the default is portable. In Node pass
 * `nodeSha256` of `@gatehouse/verifier/node`.
 */

export {
  type ApprovalProof,
  type ApprovalReport,
  canonicalJson,
  listChallenge,
  MAX_LIST,
  type ProvenRecord,
  verifyApproval,
  type YesEvidence,
  type YesLink,
  type YesSaid,
  yesChallenge,
} from './approval.ts';
export {
  appendLeaf,
  copyTree,
  emptyTree,
  leafHash,
  nodeHash,
  type Tree,
  treeRoot,
  VerifierError,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';
export {
  type Checkpoint,
  cosignedText,
  formatCheckpoint,
  formatNote,
  formatTlogProof,
  formatVerifierKey,
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
export { type Sha256, sha256 } from './sha256.ts';
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
  type Trust,
  verifyLog,
  verifyReceipt,
} from './verify.ts';
