import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { appendLeaf, emptyTree, leafHash, treeRoot } from './merkle.ts';
import { nodeSha256 } from './node.ts';
import { formatCheckpoint, formatNote, formatVerifierKey, verifierKey } from './note.ts';
import { rangeProof, verifyRange } from './range.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
const key = verifierKey('log.example/one', new Uint8Array(raw));
const vkey = formatVerifierKey(key);

function logOf(size: number) {
  const entries = Array.from({ length: size }, (_, at) => Buffer.from(`{"record":${at}}`));
  const leaves = entries.map((entry) => leafHash(entry, nodeSha256));
  const tree = emptyTree();
  for (const leaf of leaves) appendLeaf(tree, leaf, nodeSha256);
  const text = formatCheckpoint({ origin: 'log.example/one', size, root: treeRoot(tree, nodeSha256) });
  const signature = new Uint8Array(sign(null, Buffer.from(text), privateKey));
  const checkpoint = formatNote(text, [{ key, signature }]);
  const read = (level: number, index: number): Uint8Array => {
    if (level === 0) return leaves[index] as Uint8Array;
    const sub = emptyTree();
    for (let at = index * 2 ** level; at < (index + 1) * 2 ** level; at++)
      appendLeaf(sub, leaves[at] as Uint8Array, nodeSha256);
    return treeRoot(sub, nodeSha256);
  };
  return { entries, leaves, checkpoint, read };
}

/** @proves record.export */
test('any range of any log verifies, also with records left out; one that was changed in any way does not', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), fc.nat(), async (size, a, b, c) => {
      const log = logOf(size);
      const [from = 0, to = 0] = [a % (size + 1), b % (size + 1)].sort((x, y) => x - y);
      const proof = { ...(await rangeProof(from, to, size, log.read)), checkpoint: log.checkpoint };
      const given = log.entries.slice(from, to);
      const check = (entries: (Uint8Array | { hash: Uint8Array })[], other = proof, range = { from, to }) =>
        verifyRange({ vkey, ...range, entries, proof: () => other, sha256: nodeSha256 });
      assert.ok((await check(given)).ok);
      const leftOut = given.map((entry, at) =>
        (at + c) % 3 === 0 ? { hash: log.leaves[from + at] as Uint8Array } : entry,
      );
      assert.ok((await check(leftOut)).ok);
      if (given.length === 0) return;
      const at = c % given.length;
      assert.ok(!(await check(given.toSpliced(at, 1))).ok, 'one removed');
      assert.ok(!(await check(given.toSpliced(at, 0, Buffer.from('new')))).ok, 'one added');
      assert.ok(!(await check(given.with(at, Buffer.from('edited')))).ok, 'one edited');
      if (given.length > 1) assert.ok(!(await check(given.toReversed())).ok, 'reordered');
      // The same records as another part of the log, or as all that there is of a shorter time.
      if (to < size) assert.ok(!(await check(given, proof, { from: from + 1, to: to + 1 })).ok, 'moved');
      assert.ok(!(await check(given.slice(0, -1), proof, { from, to: to - 1 })).ok, 'cut, with its end');
      const report = await verifyRange({ vkey, from, to, entries: given, proof: () => undefined, sha256: nodeSha256 });
      assert.ok(!report.ok && report.fault.kind === 'truncated');
    }),
    { numRuns: 150, seed: 7 },
  );
});
