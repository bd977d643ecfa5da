/** What the verifier's tests share: records, a log held in memory, and keys. Not part of the package's interface. */

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  appendLeaf,
  cosignedText,
  emptyTree,
  formatCheckpoint,
  formatNote,
  formatTlogProof,
  formatVerifierKey,
  type HashReader,
  inclusionProof,
  leafHash,
  nodeHash,
  SIGNATURE_TYPE,
  treeRoot,
  type VerifierKey,
  verifierKey,
} from '../src/index.ts';

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const recordsOf = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => new TextEncoder().encode(`{"sequence":${i}}`));

export const leavesOf = (count: number): Uint8Array[] => recordsOf(count).map((record) => leafHash(record));

export function hashesOf(leaves: readonly Uint8Array[]): HashReader {
  const read = (level: number, index: number): Uint8Array => {
    const leaf = leaves[index];
    if (level > 0) return nodeHash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1));
    if (!leaf) throw new RangeError(`no record ${index}`);
    return leaf;
  };
  return read;
}

export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const mutated = Uint8Array.from(bytes);
  mutated[Math.floor(bit / 8)] = (mutated[Math.floor(bit / 8)] ?? 0) ^ (1 << (bit % 8));
  return mutated;
}

export type Signer = { key: VerifierKey; vkey: string; privateKey: KeyObject };

export function newSigner(name: string, type: number = SIGNATURE_TYPE.ed25519): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const key = verifierKey(name, new Uint8Array(raw), type);
  return { key, vkey: formatVerifierKey(key), privateKey };
}

export function signatureBy({ key, privateKey }: Signer, text: string): { key: VerifierKey; signature: Uint8Array } {
  if (key.type === SIGNATURE_TYPE.ed25519) return { key, signature: sign(null, Buffer.from(text), privateKey) };
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(1_679_315_147n);
  const signature = sign(null, Buffer.from(cosignedText(text, 1_679_315_147n)), privateKey);
  return { key, signature: Buffer.concat([time, signature]) };
}

/** The signed checkpoint over the first `size` of `records`. */
export function checkpointOf(records: readonly Uint8Array[], size: number, log: Signer, ...others: Signer[]): string {
  const tree = emptyTree();
  for (const record of records.slice(0, size)) appendLeaf(tree, leafHash(record));
  const text = formatCheckpoint({ origin: log.key.name, size, root: treeRoot(tree) });
  return formatNote(
    text,
    [log, ...others].map((signer) => signatureBy(signer, text)),
  );
}

export async function proofFileOf(records: readonly Uint8Array[], index: number, checkpoint: string): Promise<string> {
  const leaves = records.map((record) => leafHash(record));
  return formatTlogProof({ index, proof: await inclusionProof(index, leaves.length, hashesOf(leaves)), checkpoint });
}
