/**
 * The Merkle tree of RFC 6962 section 2.1: hashing, a root that grows with the log, checking of inclusion and
 * consistency proofs. The checks follow the recursive definitions of sections 2.1.1 and 2.1.2 word for word. Arithmetic is on numbers,
 * never on 32-bit integers: exact up to 2^53 - 1 records.
 */

import { sha256 as portableSha256, type Sha256 } from './sha256.ts';

export const HASH_BYTES = 32;

/** What was read is not of its format (`format`), or is not vouched for by a key that the reader trusts (`signature`). */
export class VerifierError extends Error {
  readonly kind: 'format' | 'signature';
  constructor(kind: 'format' | 'signature', message: string) {
    super(message);
    this.name = 'VerifierError';
    this.kind = kind;
  }
}

// Reused, since a million allocations cost more than the hashing. A `Sha256` is synchronous and keeps nothing.
const leafInput = new Uint8Array(1 + 65_535);
const nodeInput = Uint8Array.of(1, ...new Uint8Array(2 * HASH_BYTES));

/** SHA-256(0x00 || entry). */
export function leafHash(entry: Uint8Array, sha256: Sha256 = portableSha256): Uint8Array {
  const length = 1 + entry.length;
  const input = length > leafInput.length ? new Uint8Array(length) : leafInput.subarray(0, length);
  input.set(entry, 1);
  return sha256(input);
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array, sha256: Sha256 = portableSha256): Uint8Array {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) {
    throw new VerifierError('format', 'a tree hash must have 32 bytes');
  }
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** A growing tree: the number of its leaves, and the hashes of the perfect subtrees that cover them, largest first. */
export type Tree = { size: number; peaks: Uint8Array[] };

export const emptyTree = (): Tree => ({ size: 0, peaks: [] });
export const copyTree = (tree: Tree): Tree => ({ size: tree.size, peaks: [...tree.peaks] });

/** Adds one leaf hash to `tree`, in place. */
export function appendLeaf(tree: Tree, leaf: Uint8Array, sha256: Sha256 = portableSha256): void {
  let hash = leaf;
  // As in a binary counter: each trailing 1 bit of the size is a subtree as large as the one just completed.
  for (let size = tree.size; size % 2 === 1; size = (size - 1) / 2) {
    hash = nodeHash(tree.peaks.pop() as Uint8Array, hash, sha256);
  }
  tree.peaks.push(hash);
  tree.size += 1;
}

/** The root hash; that of an empty tree is the hash of nothing. */
export function treeRoot(tree: Tree, sha256: Sha256 = portableSha256): Uint8Array {
  const root = tree.peaks.reduceRight<Uint8Array | undefined>(
    (right, left) => (right ? nodeHash(left, right, sha256) : left),
    undefined,
  );
  return root ?? sha256(new Uint8Array());
}

/** Whether `proof` shows that `leaf` is record `index` of the tree of `size` records with this root. */
export function verifyInclusion(
  claim: { index: number; size: number; leaf: Uint8Array; root: Uint8Array; proof: readonly Uint8Array[] },
  sha256: Sha256 = portableSha256,
): boolean {
  const { index, size, leaf, root } = claim;
  if (!isCount(index) || !isCount(size) || index >= size || !allHashes([leaf, root, ...claim.proof])) return false;
  const proof = [...claim.proof];
  const fold = (at: number, width: number): Uint8Array | undefined => {
    if (width === 1) return proof.length === 0 ? leaf : undefined;
    const sibling = proof.pop();
    const split = largestPowerOfTwoBelow(width);
    const inner = at < split ? fold(at, split) : fold(at - split, width - split);
    if (!sibling || !inner) return undefined;
    return at < split ? nodeHash(inner, sibling, sha256) : nodeHash(sibling, inner, sha256);
  };
  const computed = fold(index, size);
  return computed !== undefined && sameBytes(computed, root);
}

/**
 * Whether `proof` shows that the tree of `newSize` records begins with the very records of the tree of `oldSize`.
 * Nothing is ever shown about an empty old tree: false.
 */
export function verifyConsistency(
  claim: { oldSize: number; newSize: number; oldRoot: Uint8Array; newRoot: Uint8Array; proof: readonly Uint8Array[] },
  sha256: Sha256 = portableSha256,
): boolean {
  const { oldSize, newSize, oldRoot, newRoot } = claim;
  if (!isCount(oldSize) || !isCount(newSize) || oldSize === 0 || oldSize > newSize) return false;
  if (oldSize === newSize) return claim.proof.length === 0 && sameBytes(oldRoot, newRoot);
  if (!allHashes([oldRoot, newRoot, ...claim.proof])) return false;
  const proof = [...claim.proof];
  // Gives the roots of the old and of the new tree below this node; `whole` while the old tree is a whole subtree here.
  const fold = (old: number, width: number, whole: boolean): [Uint8Array, Uint8Array] | undefined => {
    if (old === width) {
      const hash = whole ? oldRoot : proof.pop();
      return hash && proof.length === 0 ? [hash, hash] : undefined;
    }
    const sibling = proof.pop();
    const split = largestPowerOfTwoBelow(width);
    const inner = old <= split ? fold(old, split, whole) : fold(old - split, width - split, false);
    if (!sibling || !inner) return undefined;
    if (old <= split) return [inner[0], nodeHash(inner[1], sibling, sha256)];
    return [nodeHash(sibling, inner[0], sha256), nodeHash(sibling, inner[1], sha256)];
  };
  const roots = fold(oldSize, newSize, true);
  return roots !== undefined && sameBytes(roots[0], oldRoot) && sameBytes(roots[1], newRoot);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
const allHashes = (hashes: readonly Uint8Array[]): boolean => hashes.every((hash) => hash.length === HASH_BYTES);

/** For n > 1: where a tree of n leaves splits. */
export function largestPowerOfTwoBelow(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}
