import {
  appendLeaf,
  consistencyProof,
  copyTree,
  emptyTree,
  formatAddCheckpoint,
  formatCheckpoint,
  formatNote,
  type HashReader,
  leafHash,
  nodeHash,
  treeRoot,
} from '@gatehouse/verifier';
import { newSigner, type Signer, signatureBy } from '../../verifier/test/support.ts';

/** A log that tells whatever it is asked to, for trying a witness. */
export function createLog(name: string, signer: Signer = newSigner(name)) {
  let tree = emptyTree();
  const leaves: Uint8Array[] = [];
  const read: HashReader = (level, index) =>
    level === 0
      ? (leaves[index] as Uint8Array)
      : nodeHash(read(level - 1, 2 * index) as Uint8Array, read(level - 1, 2 * index + 1) as Uint8Array);
  return {
    signer,
    vkey: signer.vkey,
    grow(to: number, story = 'told'): void {
      while (tree.size < to) {
        const leaf = leafHash(Buffer.from(`${story} ${tree.size}`));
        leaves.push(leaf);
        appendLeaf(tree, leaf);
      }
    },
    checkpoint: (root = treeRoot(tree), size = tree.size): string => {
      const text = formatCheckpoint({ origin: name, size, root });
      return formatNote(text, [signatureBy(signer, text)]);
    },
    proof: (from: number): Promise<Uint8Array[]> =>
      from === 0 ? Promise.resolve([]) : consistencyProof(from, tree.size, read),
    async request(from: number): Promise<string> {
      return formatAddCheckpoint({ oldSize: from, proof: await this.proof(from), checkpoint: this.checkpoint() });
    },
    /** Forgets everything from there on. */
    cut(to: number): void {
      leaves.length = to;
      tree = copyTree(emptyTree());
      for (const leaf of leaves) appendLeaf(tree, leaf);
    },
  };
}
