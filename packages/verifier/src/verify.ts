/**
 * The two questions an auditor asks: is this record in the log (`verifyReceipt`), and is this still the whole log that
 * was signed (`verifyLog`)? Both trust the log's public key, and nothing that the log's operator stores. What neither can
 * show: that the operator has no other log, or has not signed a second history for someone else. For that, compare
 * checkpoints with others, or ask for witnesses' cosignatures.
 */

import {
  appendLeaf,
  copyTree,
  emptyTree,
  leafHash,
  sameBytes,
  type Tree,
  treeRoot,
  VerifierError,
  verifyInclusion,
} from './merkle.ts';
import {
  type Checkpoint,
  type Cosignature,
  type OpenedCheckpoint,
  openCheckpoint,
  parseTlogProof,
  parseVerifierKey,
  type VerifierKey,
} from './note.ts';
import { type Policy, quorumOf } from './policy.ts';
import { emptyAbsences, explain, noteAbsent, type Removal, removalIn } from './removals.ts';
import { sha256 as portableSha256, type Sha256 } from './sha256.ts';

/**
 * Whom to believe. `vkey`: the log's key. `origin`: its name in checkpoints, where that is not the key's name. `policy`: whose
 * cosignatures are wanted; `witnesses` is the same for k of n.
 */
export type Trust = {
  vkey: string;
  origin?: string;
  witnesses?: { vkeys: readonly string[]; quorum: number };
  policy?: Policy;
};

export type FaultKind =
  | 'format' // a proof file, note or checkpoint is not of its format
  | 'signature' // not signed by the trusted key, for this log; or a known key's signature is wrong
  | 'witnesses' // fewer of the known witnesses have cosigned than asked for (a log's last checkpoint, a receipt's)
  | 'inclusion' // the record is not the one that the proof is about
  | 'no-checkpoint' // nothing signed to compare with
  | 'fork' // two signed checkpoints of one size with different roots: the log told two stories
  | 'edited' // the record at `from` is not the one that was logged
  | 'missing' // records [from, to) were logged, and are not there any more
  | 'inserted' // the records found at [from, to) were never logged there
  | 'reordered' // the records of [from, to) are in another order than they were logged
  | 'erased' // a record has no content, and no record says that it was removed, or says it of others
  | 'truncated' // the log ends at `from`; a checkpoint commits to `to` records
  | 'tile' // the records are as signed, but a stored tile of hashes is not theirs
  | 'log-missing' // another log names this one, or a checkpoint of it was kept, and it is not here, or is another
  | 'root-mismatch'; // one of the above, somewhere in [from, to): only the original hashes could tell where

/** `from` and `to`: record indexes, `to` exclusive. `checkpoint`: which of the given checkpoints disagrees, from 0. */
export type Fault = { kind: FaultKind; detail: string; from?: number; to?: number; checkpoint?: number };

export type ReceiptReport =
  | { ok: true; index: number; checkpoint: Checkpoint; witnessedBy: string[]; cosignatures: Cosignature[] }
  | { ok: false; fault: Fault };

/** Whether `entry`, byte for byte, is in the log. `proof`: the text of its `.tlog-proof` file. Throws on a bad `vkey`. */
export async function verifyReceipt(
  receipt: Trust & { entry: Uint8Array; proof: string; sha256?: Sha256 },
): Promise<ReceiptReport> {
  const trust = parseTrust(receipt);
  try {
    const { index, proof, checkpoint: note } = parseTlogProof(receipt.proof);
    const { witnessedBy, cosignatures, ...checkpoint } = await openTrusted(note, trust);
    const leaf = leafHash(receipt.entry, receipt.sha256);
    if (!verifyInclusion({ index, size: checkpoint.size, leaf, root: checkpoint.root, proof }, receipt.sha256)) {
      const detail = `this is not record ${index} of the ${checkpoint.size} that the checkpoint commits to`;
      return { ok: false, fault: { kind: 'inclusion', detail, from: index, to: index + 1 } };
    }
    if (!isWitnessed(cosignatures, trust)) return { ok: false, fault: tooFewWitnesses(witnessedBy, trust) };
    return { ok: true, index, checkpoint, witnessedBy, cosignatures };
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

export type LogToVerify = Trust & {
  /** All records from index 0, each byte for byte as it was logged; of no bytes where its content was removed. */
  entries: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Signed notes, in any order. At least one must come from where the operator can't reach it, or a cut stays unseen. */
  checkpoints: readonly string[];
  /**
   * The stored leaf hashes. Not trusted: used to say *which* record is wrong, and for records whose content was removed, and only when the
   * signed root confirms them. Without them the report is as narrow as two neighbouring checkpoints, and nothing may be removed.
   */
  leafHashAt?: (index: number) => Uint8Array | undefined | Promise<Uint8Array | undefined>;
  onProgress?: (progress: { verified: number; total: number }) => void;
  /** Each record's hash as it is computed, in order. */
  onLeaf?: (leaf: Uint8Array) => void | Promise<void>;
  /** What other logs, which were verified, say was removed. */
  removals?: readonly Removal[];
  sha256?: Sha256;
};

/**
 * `removed`: how many records have no content any more, by `removals`, which this log or others have on record. `recorded`: what this log
 * says was removed, anywhere; also where only that is missing which another log may say.
 */
export type RemovalReport = { removed: number; removals: Removal[]; recorded: Removal[] };

/** `uncovered`: records behind the last checkpoint, for which nothing is proven yet. */
export type LogReport =
  | ({ ok: true; size: number; root: Uint8Array; checkpoints: number; uncovered: number } & RemovalReport)
  | { ok: false; fault: Fault; recorded?: Removal[] };

const PROGRESS_RECORDS = 10_000;
/** Records read on behind a disagreement, so that one inserted just before a checkpoint is told from an edited one. */
const LOOKAHEAD_RECORDS = 1_000;
type Numbered = OpenedCheckpoint & { checkpoint: number };

/**
 * Whether the records are those, all those and only those that the checkpoints commit to; else the first thing wrong.
 * Reads the records once, in order, and keeps none. Throws on a bad `vkey`, and what `entries` throws.
 */
export async function verifyLog(log: LogToVerify): Promise<LogReport> {
  const { sha256 = portableSha256, leafHashAt } = log;
  const { origin } = parseTrust(log);
  const absences = emptyAbsences();
  const opened = await openAll(log);
  if ('kind' in opened) return { ok: false, fault: opened };
  const last = opened.at(-1) as Numbered;

  const tree = emptyTree();
  let confirmed = copyTree(tree);
  // Leaf hashes from the first one that differs from the stored ones, until a checkpoint tells which of the two is right.
  let suspects: Uint8Array[] = [];
  let reached = 0;
  let uncovered = 0;
  const firstDisagreement = () => {
    for (; opened[reached]?.size === tree.size; reached++) {
      if (!sameBytes(treeRoot(tree, sha256), (opened[reached] as Numbered).root)) return opened[reached];
      confirmed = copyTree(tree);
      suspects = [];
    }
    return undefined;
  };

  let disagreement = firstDisagreement();
  for await (const entry of log.entries) {
    if (disagreement && (suspects.length === 0 || uncovered === LOOKAHEAD_RECORDS)) break;
    if (disagreement || tree.size === last.size) {
      uncovered += 1;
      if (disagreement) suspects.push(leafHash(entry, sha256));
      continue;
    }
    const kept = entry.length === 0 ? await leafHashAt?.(tree.size) : undefined;
    const leaf = kept ?? leafHash(entry, sha256);
    if (kept) noteAbsent(absences, tree.size);
    else {
      const removal = removalIn(entry, { log: origin, index: tree.size });
      if (removal) absences.recorded.push(removal);
    }
    if (leafHashAt) {
      const stored = suspects.length > 0 ? undefined : await leafHashAt(tree.size);
      if (!stored || !sameBytes(stored, leaf)) suspects.push(leaf);
    }
    appendLeaf(tree, leaf, sha256);
    if (log.onLeaf) await log.onLeaf(leaf);
    if (tree.size % PROGRESS_RECORDS === 0) log.onProgress?.({ verified: tree.size, total: last.size });
    disagreement = firstDisagreement();
  }
  disagreement ??= opened[reached];
  if (disagreement) {
    const found = { size: tree.size, suspects, firstSuspect: tree.size + uncovered - suspects.length };
    return { ok: false, fault: await locate(disagreement, confirmed, found, leafHashAt, sha256) };
  }
  const { recorded } = absences;
  const explained = await explain(origin, absences, log.removals ?? [], leafHashAt ?? (() => undefined), sha256);
  if (!explained.ok) return { ...explained, recorded };
  const { removed, removals } = explained;
  log.onProgress?.({ verified: tree.size, total: last.size });
  const { root } = last;
  return { ok: true, size: tree.size, root, checkpoints: opened.length, uncovered, removed, removals, recorded };
}

/** All checkpoints, verified, the smallest first; or what is wrong with the first bad one. */
async function openAll(log: LogToVerify): Promise<Numbered[] | Fault> {
  const trust = parseTrust(log);
  const opened: Numbered[] = [];
  for (const [checkpoint, note] of log.checkpoints.entries()) {
    try {
      opened.push({ ...(await openTrusted(note, trust)), checkpoint });
    } catch (error) {
      return { ...faultOf(error), checkpoint };
    }
  }
  opened.sort((a, b) => a.size - b.size || a.checkpoint - b.checkpoint);
  const last = opened.at(-1);
  if (!last) return { kind: 'no-checkpoint', detail: 'no signed checkpoint was given to compare with' };
  const ofLast = opened.filter(({ size }) => size === last.size);
  if (!ofLast.some(({ cosignatures }) => isWitnessed(cosignatures, trust)))
    return tooFewWitnesses(last.witnessedBy, trust);
  for (const [i, { size, root, checkpoint }] of opened.entries()) {
    const twin = opened[i + 1];
    if (twin?.size === size && !sameBytes(twin.root, root)) {
      const detail = `checkpoints ${checkpoint} and ${twin.checkpoint} are both signed, and give ${size} records two roots`;
      return { kind: 'fork', detail, checkpoint: twin.checkpoint };
    }
  }
  return opened;
}

/** Narrows a disagreement down to records, as far as hashes that the signed root confirms allow it. */
async function locate(
  { size: to, root, checkpoint }: Numbered,
  confirmed: Tree,
  found: { size: number; suspects: Uint8Array[]; firstSuspect: number },
  leafHashAt: LogToVerify['leafHashAt'],
  sha256: Sha256,
): Promise<Fault> {
  const stored = copyTree(confirmed);
  const logged: Uint8Array[] = [];
  // Behind the checkpoint the stored hashes are not confirmed: they may tell what happened, never that or where.
  for (let index = stored.size; leafHashAt && index < to + LOOKAHEAD_RECORDS; index++) {
    const hash = await leafHashAt(index);
    if (hash?.length !== root.length) break;
    if (index >= found.firstSuspect) logged.push(hash);
    if (index < to) appendLeaf(stored, hash, sha256);
  }
  if (stored.size === to && sameBytes(treeRoot(stored, sha256), root)) {
    return { ...difference(logged, found.suspects, found.firstSuspect, to), checkpoint };
  }
  if (found.size < to) {
    const detail = `the log has ${found.size} records, the checkpoint commits to ${to}; ${confirmed.size} are confirmed`;
    return { kind: 'truncated', detail, from: found.size, to, checkpoint };
  }
  const detail = `records [${confirmed.size}, ${to}) do not give the signed root; the records before them do`;
  return { kind: 'root-mismatch', detail, from: confirmed.size, to, checkpoint };
}

/** What happened at record `from`, where the hashes of what was logged and of what was found begin to differ. */
function difference(logged: Uint8Array[], found: Uint8Array[], from: number, committed: number): Fault {
  const [due, present] = [logged[0], found[0]];
  if (!due || !present) {
    return { kind: 'truncated', detail: `the log ends at ${from} of ${committed} records`, from, to: committed };
  }
  const dueAt = found.findIndex((hash) => sameBytes(hash, due));
  const presentAt = logged.findIndex((hash) => sameBytes(hash, present));
  const copies = (hashes: Uint8Array[]) => hashes.filter((hash) => sameBytes(hash, present)).length;
  if (dueAt > 0 && (presentAt < 0 || copies(found) > copies(logged))) {
    const to = from + dueAt;
    return { kind: 'inserted', detail: `${dueAt} records at ${from} were never logged there`, from, to };
  }
  if (dueAt > 0) {
    const detail = `the record logged at ${from} is now at ${from + dueAt}`;
    return { kind: 'reordered', detail, from, to: from + dueAt + 1 };
  }
  if (presentAt > 0) {
    const to = from + presentAt;
    return { kind: 'missing', detail: `${presentAt} records from ${from} on are gone`, from, to };
  }
  return { kind: 'edited', detail: `record ${from} is not the one that was logged`, from, to: from + 1 };
}

export type ParsedTrust = { key: VerifierKey; origin: string; policy: Policy };

export function parseTrust({ vkey, origin, witnesses, policy }: Trust): ParsedTrust {
  const key = parseVerifierKey(vkey);
  const keys = (witnesses?.vkeys ?? []).map(parseVerifierKey);
  return { key, origin: origin ?? key.name, policy: policy ?? quorumOf(witnesses?.quorum ?? 0, keys) };
}

export const openTrusted = (note: string, { key, origin, policy }: ParsedTrust): Promise<OpenedCheckpoint> =>
  openCheckpoint(
    note,
    key,
    origin,
    policy.witnesses.map((witness) => witness.key),
  );

export const isWitnessed = (cosignatures: readonly Cosignature[], { policy }: ParsedTrust): boolean =>
  policy.isMet(cosignatures.map(({ key }) => key));

export function tooFewWitnesses(witnessedBy: string[], { policy }: ParsedTrust): Fault {
  return { kind: 'witnesses', detail: `${witnessedBy.length} known witnesses have cosigned, wanted: ${policy.quorum}` };
}

export function faultOf(error: unknown): Fault {
  if (error instanceof VerifierError) return { kind: error.kind, detail: error.message };
  throw error;
}
