/**
 * An export of records [from, to): are these those, all those and only those that stand there in the signed log? The proof is the hashes of
 * the perfect subtrees to the left and to the right of the range: with the records between they give the signed root, or something is
 * not as it was. A record may be given as its leaf hash alone, where it is left out: its place is still proven.
 */

import { HASH_BYTES, isCount, leafHash, nodeHash, sameBytes, VerifierError } from './merkle.ts';
import { sha256 as portableSha256, type Sha256 } from './sha256.ts';
import type { HashReader } from './tiles.ts';
import { type Fault, faultOf, isWitnessed, openTrusted, parseTrust, type Trust, tooFewWitnesses } from './verify.ts';

export type RangeProof = { left: Uint8Array[]; right: Uint8Array[] };

export type RangeToVerify = Trust & {
  from: number;
  to: number;
  /** In their order: a record byte for byte, or `{ hash }` of one that is left out. */
  entries: AsyncIterable<Uint8Array | { hash: Uint8Array }> | Iterable<Uint8Array | { hash: Uint8Array }>;
  /** Read after the entries: it may stand behind them. */
  proof: () => (RangeProof & { checkpoint: string }) | undefined;
  sha256?: Sha256;
};

export type RangeReport =
  | { ok: true; from: number; to: number; size: number; leftOut: number; witnessedBy: string[] }
  | { ok: false; fault: Fault };

/** The perfect subtrees that cover [from, to), largest first on the left of the tree: level and index of each. */
function subtrees(from: number, to: number): { level: number; index: number }[] {
  const found: { level: number; index: number }[] = [];
  for (let at = from; at < to; ) {
    let level = 0;
    for (let width = 2; at % width === 0 && at + width <= to; width *= 2) level++;
    found.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return found;
}

export async function rangeProof(from: number, to: number, size: number, read: HashReader): Promise<RangeProof> {
  if (!isCount(from) || !isCount(to) || from > to || to > size)
    throw new RangeError(`no records ${from} to ${to} in ${size}`);
  const hashes = (first: number, end: number) =>
    Promise.all(subtrees(first, end).map(async ({ level, index }) => read(level, index)));
  return { left: await hashes(0, from), right: await hashes(to, size) };
}

/** Throws on a bad `vkey`, and what `entries` throws. */
export async function verifyRange(range: RangeToVerify): Promise<RangeReport> {
  const { sha256 = portableSha256, from, to } = range;
  const trust = parseTrust(range);
  const fail = (kind: Fault['kind'], detail: string): RangeReport => ({ ok: false, fault: { kind, detail, from, to } });
  if (!isCount(from) || !isCount(to) || from > to) return fail('format', 'the range is none');
  // Level and hash of the subtrees of the range alone, until the proof gives what is around it.
  const inner = stack(from, sha256);
  let at = from;
  let leftOut = 0;
  for await (const entry of range.entries) {
    if (at === to) return fail('inserted', `there are more than the ${to - from} records of the range`);
    const isHash = !(entry instanceof Uint8Array);
    if (isHash) leftOut++;
    inner.push(0, isHash ? entry.hash : leafHash(entry, sha256));
    at++;
  }
  if (at < to) return fail('truncated', `only ${at - from} of ${to - from} records are there`);
  const proof = range.proof();
  if (!proof) return fail('truncated', 'the proof is missing: the export was cut off');
  try {
    const { size, root, witnessedBy, cosignatures } = await openTrusted(proof.checkpoint, trust);
    if (to > size) return fail('truncated', `the checkpoint commits to ${size} records`);
    const [before, after] = [subtrees(0, from), subtrees(to, size)];
    if (before.length !== proof.left.length || after.length !== proof.right.length)
      return fail('format', 'the proof has not the hashes that this range needs');
    const whole = stack(0, sha256);
    for (const [each, { level }] of before.entries()) whole.push(level, proof.left[each] as Uint8Array);
    for (const { level, hash } of inner.nodes) whole.push(level, hash);
    for (const [each, { level }] of after.entries()) whole.push(level, proof.right[each] as Uint8Array);
    if (!sameBytes(whole.root(), root))
      return fail(
        'root-mismatch',
        'these are not the records that were signed: one was edited, removed, added or moved',
      );
    if (!isWitnessed(cosignatures, trust)) return { ok: false, fault: tooFewWitnesses(witnessedBy, trust) };
    return { ok: true, from, to, size, leftOut, witnessedBy };
  } catch (error) {
    return { ok: false, fault: faultOf(error) };
  }
}

/** Perfect subtrees side by side, from `start` on; two that make a larger one are joined. */
function stack(start: number, sha256: Sha256) {
  const nodes: { level: number; hash: Uint8Array; at: number }[] = [];
  let next = start;
  return {
    nodes,
    push(level: number, hash: Uint8Array): void {
      if (hash.length !== HASH_BYTES) throw new VerifierError('format', 'a tree hash must have 32 bytes');
      nodes.push({ level, hash, at: next });
      next += 2 ** level;
      for (;;) {
        const [left, right] = nodes.slice(-2);
        if (!left || !right || left.level !== right.level || left.at % 2 ** (left.level + 1) !== 0) return;
        nodes.splice(-2, 2, { level: left.level + 1, hash: nodeHash(left.hash, right.hash, sha256), at: left.at });
      }
    },
    root(): Uint8Array {
      const root = nodes.reduceRight<Uint8Array | undefined>(
        (right, { hash }) => (right ? nodeHash(hash, right, sha256) : hash),
        undefined,
      );
      return root ?? sha256(new Uint8Array());
    },
  };
}
