import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { flipBit, hashesOf, hex, leavesOf } from '../test/support.ts';
import {
  appendLeaf,
  consistencyProof,
  copyTree,
  emptyTree,
  type HashReader,
  inclusionProof,
  leafHash,
  nodeHash,
  rootFromHashes,
  treeRoot,
  VerifierError,
  verifyConsistency,
  verifyInclusion,
} from './index.ts';

/** RFC 6962 section 2.1, as it is written there: the reference for the incremental tree. */
function treeHash(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(treeHash(leaves.slice(0, split)), treeHash(leaves.slice(split)));
}

function rootOf(leaves: Uint8Array[]): Uint8Array {
  const tree = emptyTree();
  for (const leaf of leaves) appendLeaf(tree, leaf);
  return treeRoot(tree);
}

describe('the tree', () => {
  it('gives the roots that Certificate Transparency publishes for its eight sample records', () => {
    const records = [
      '',
      '00',
      '10',
      '2021',
      '3031',
      '40414243',
      '5051525354555657',
      '606162636465666768696a6b6c6d6e6f',
    ];
    const published = [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ];
    const tree = emptyTree();
    assert.equal(hex(treeRoot(tree)), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    for (const [i, record] of records.entries()) {
      appendLeaf(tree, leafHash(Buffer.from(record, 'hex')));
      assert.equal(hex(treeRoot(tree)), published[i]);
    }
  });

  it('has, grown one record at a time, the root of the recursive definition at every size', () => {
    const leaves = leavesOf(300);
    const tree = emptyTree();
    for (let size = 1; size <= leaves.length; size++) {
      appendLeaf(tree, leaves[size - 1] as Uint8Array);
      assert.equal(hex(treeRoot(tree)), hex(treeHash(leaves.slice(0, size))));
    }
  });

  it('keeps a copy as it was when the original grows', () => {
    const tree = emptyTree();
    for (const leaf of leavesOf(5)) appendLeaf(tree, leaf);
    const copy = copyTree(tree);
    const before = hex(treeRoot(copy));
    for (const leaf of leavesOf(9)) appendLeaf(tree, leaf);
    assert.equal(hex(treeRoot(copy)), before);
  });

  it('never mistakes an inner node for a record', () => {
    const [left, right] = leavesOf(2) as [Uint8Array, Uint8Array];
    const forged = Uint8Array.of(...left, ...right);
    assert.notEqual(hex(leafHash(forged)), hex(nodeHash(left, right)));
  });

  it('hashes records of any length, without a trace of the record before', () => {
    for (const length of [65_536, 70_000, 65_535, 65_534, 3, 0]) {
      const record = new Uint8Array(length).fill(length % 251);
      const expected = createHash('sha256').update(Uint8Array.of(0)).update(record).digest('hex');
      assert.equal(hex(leafHash(record)), expected, `${length} bytes`);
    }
  });

  it('refuses hashes that are not 32 bytes, which would let two trees share a root', () => {
    const leaf = leafHash(Uint8Array.of(1));
    assert.throws(() => nodeHash(leaf.subarray(1), leaf), VerifierError);
    assert.throws(() => nodeHash(leaf, Uint8Array.of(...leaf, 0)), VerifierError);
  });
});

const sizes = fc.integer({ min: 1, max: 130 });

describe('an inclusion proof', () => {
  it('is accepted for every record of a tree of any size, and only at its own index', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (size, choice) => {
        const leaves = leavesOf(size);
        const index = choice % size;
        const proof = await inclusionProof(index, size, hashesOf(leaves));
        const claim = { index, size, leaf: leaves[index] as Uint8Array, root: rootOf(leaves), proof };
        assert.equal(verifyInclusion(claim), true);
        for (let other = 0; other < size; other++) {
          if (other !== index) assert.equal(verifyInclusion({ ...claim, index: other }), false, `index ${other}`);
        }
        assert.equal(verifyInclusion({ ...claim, proof: [...proof, claim.root] }), false);
        if (size > 1) assert.equal(verifyInclusion({ ...claim, proof: proof.slice(1) }), false);
        if (size > 1) assert.equal(verifyInclusion({ ...claim, proof: proof.slice(0, -1) }), false);
      }),
    );
  });

  it('is refused after any single bit of the record hash, the root or the proof has changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(255), async (size, choice, bit) => {
        const leaves = leavesOf(size);
        const index = choice % size;
        const proof = await inclusionProof(index, size, hashesOf(leaves));
        const claim = { index, size, leaf: leaves[index] as Uint8Array, root: rootOf(leaves), proof };
        assert.equal(verifyInclusion({ ...claim, leaf: flipBit(claim.leaf, bit) }), false);
        assert.equal(verifyInclusion({ ...claim, root: flipBit(claim.root, bit) }), false);
        for (const i of proof.keys()) {
          const mutated = proof.with(i, flipBit(proof[i] as Uint8Array, bit));
          assert.equal(verifyInclusion({ ...claim, proof: mutated }), false);
        }
      }),
    );
  });

  it('is refused, not misread, where index or size is no count', () => {
    const [leaf] = leavesOf(1) as [Uint8Array];
    const claim = { index: 0, size: 1, leaf, root: leaf, proof: [] };
    assert.equal(verifyInclusion(claim), true);
    for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      assert.equal(verifyInclusion({ ...claim, index: wrong }), false);
      assert.equal(verifyInclusion({ ...claim, size: wrong }), false);
    }
    assert.equal(verifyInclusion({ ...claim, index: 1 }), false);
  });

  it('cannot be made for a record beyond the tree', async () => {
    await assert.rejects(inclusionProof(3, 3, hashesOf(leavesOf(3))), RangeError);
  });

  it('works at sizes beyond 32 bits', async () => {
    const size = 2 ** 40 + 3;
    const index = 2 ** 39 + 5;
    const read = largeTree();
    const proof = await inclusionProof(index, size, read);
    const claim = { index, size, leaf: await read(0, index), root: await rootFromHashes(size, read), proof };
    assert.equal(verifyInclusion(claim), true);
    assert.equal(verifyInclusion({ ...claim, leaf: flipBit(claim.leaf, 0) }), false);
    const longer = 2 ** 40 + 2 ** 20;
    const newRoot = await rootFromHashes(longer, read);
    const consistent = await consistencyProof(size, longer, read);
    const growth = { oldSize: size, newSize: longer, oldRoot: claim.root, newRoot, proof: consistent };
    assert.equal(verifyConsistency(growth), true);
    assert.equal(verifyConsistency({ ...growth, oldSize: size - 2 ** 32 }), false);
  });
});

/** A tree in which every record is the same, so that its hashes can be had at any size. */
function largeTree(): HashReader {
  const levels = [leafHash(Uint8Array.of(7))];
  return (level) => {
    while (levels.length <= level) levels.push(nodeHash(levels.at(-1) as Uint8Array, levels.at(-1) as Uint8Array));
    return levels[level] as Uint8Array;
  };
}

const twoSizes = fc.tuple(sizes, sizes).map(([a, b]) => (a < b ? [a, b] : [b, a]) as [number, number]);

describe('a consistency proof', () => {
  it('is accepted between any two sizes of one log', async () => {
    await fc.assert(
      fc.asyncProperty(twoSizes, async ([oldSize, newSize]) => {
        const leaves = leavesOf(newSize);
        const proof = await consistencyProof(oldSize, newSize, hashesOf(leaves));
        const [oldRoot, newRoot] = [rootOf(leaves.slice(0, oldSize)), rootOf(leaves)];
        assert.equal(verifyConsistency({ oldSize, newSize, oldRoot, newRoot, proof }), true);
      }),
    );
  });

  it('is refused after any single bit of a root or of the proof has changed, and at any other old size', async () => {
    await fc.assert(
      fc.asyncProperty(twoSizes, fc.nat(255), async ([oldSize, newSize], bit) => {
        const leaves = leavesOf(newSize);
        const proof = await consistencyProof(oldSize, newSize, hashesOf(leaves));
        const [oldRoot, newRoot] = [rootOf(leaves.slice(0, oldSize)), rootOf(leaves)];
        const claim = { oldSize, newSize, oldRoot, newRoot, proof };
        assert.equal(verifyConsistency({ ...claim, oldRoot: flipBit(oldRoot, bit) }), false);
        assert.equal(verifyConsistency({ ...claim, newRoot: flipBit(newRoot, bit) }), false);
        for (const i of proof.keys()) {
          const mutated = proof.with(i, flipBit(proof[i] as Uint8Array, bit));
          assert.equal(verifyConsistency({ ...claim, proof: mutated }), false);
        }
        for (let other = 0; other < newSize; other++) {
          if (other !== oldSize) assert.equal(verifyConsistency({ ...claim, oldSize: other }), false, `size ${other}`);
        }
        assert.equal(verifyConsistency({ ...claim, proof: [...proof, newRoot] }), false);
        if (proof.length > 0) assert.equal(verifyConsistency({ ...claim, proof: proof.slice(1) }), false);
      }),
    );
  });

  it('cannot be made for a log that rewrote a record', async () => {
    await fc.assert(
      fc.asyncProperty(twoSizes, fc.nat(), async ([oldSize, newSize], choice) => {
        const honest = leavesOf(newSize);
        const rewritten = honest.with(choice % oldSize, leafHash(Buffer.from('rewritten')));
        const proof = await consistencyProof(oldSize, newSize, hashesOf(rewritten));
        const [oldRoot, newRoot] = [rootOf(honest.slice(0, oldSize)), rootOf(rewritten)];
        assert.equal(verifyConsistency({ oldSize, newSize, oldRoot, newRoot, proof }), false);
      }),
    );
  });

  it('is never given or accepted from an empty log, which would show nothing', async () => {
    const leaves = leavesOf(3);
    await assert.rejects(consistencyProof(0, 3, hashesOf(leaves)), RangeError);
    const claim = { oldSize: 0, newSize: 3, oldRoot: rootOf([]), newRoot: rootOf(leaves), proof: [] };
    assert.equal(verifyConsistency(claim), false);
  });
});
