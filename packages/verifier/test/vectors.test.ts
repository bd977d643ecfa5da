/** The published proof vectors of transparency-dev/merkle (Apache-2.0), read from GATEHOUSE_DATA; not shipped here. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { verifyConsistency, verifyInclusion } from '../src/index.ts';

const testdata = join(process.env.GATEHOUSE_DATA ?? '', 'merkle', 'testdata');
const present = process.env.GATEHOUSE_DATA !== undefined && existsSync(testdata);
const missing =
  `the published Merkle vectors are not at ${present ? testdata : 'GATEHOUSE_DATA/merkle/testdata'}: clone ` +
  'https://github.com/transparency-dev/merkle into a directory named merkle and set GATEHOUSE_DATA to its parent';

const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const proofOf = (vector: { proof: string[] | null }) => (vector.proof ?? []).map(bytes);

type InclusionVector = {
  leafIdx: number;
  treeSize: number;
  root: string;
  leafHash: string;
  proof: string[] | null;
  desc: string;
  wantErr: boolean;
};
type ConsistencyVector = {
  size1: number;
  size2: number;
  root1: string;
  root2: string;
  proof: string[] | null;
  desc: string;
  wantErr: boolean;
};

function vectorsIn<T>(folder: string): [string, T][] {
  const files = readdirSync(join(testdata, folder), { recursive: true, encoding: 'utf8' }).sort();
  return files
    .filter((file) => file.endsWith('.json'))
    .map((file) => [`${folder}/${file}`, JSON.parse(readFileSync(join(testdata, folder, file), 'utf8')) as T]);
}

if (!present && process.env.CI) {
  it('the published vectors are here', () => assert.fail(missing));
} else {
  describe('the published vectors', { skip: present ? false : missing }, () => {
    it('of inclusion proofs are accepted and refused as published', () => {
      const vectors = vectorsIn<InclusionVector>('inclusion');
      assert.ok(vectors.length >= 90, `${vectors.length} vectors`);
      for (const [file, vector] of vectors) {
        const { leafIdx: index, treeSize: size } = vector;
        const claim = { index, size, leaf: bytes(vector.leafHash), root: bytes(vector.root), proof: proofOf(vector) };
        assert.equal(verifyInclusion(claim), !vector.wantErr, `${file}: ${vector.desc}`);
      }
    });

    it('of consistency proofs are accepted and refused as published', () => {
      const vectors = vectorsIn<ConsistencyVector>('consistency');
      assert.ok(vectors.length >= 90, `${vectors.length} vectors`);
      for (const [file, vector] of vectors) {
        const { size1: oldSize, size2: newSize } = vector;
        const [oldRoot, newRoot] = [bytes(vector.root1), bytes(vector.root2)];
        const claim = { oldSize, newSize, oldRoot, newRoot, proof: proofOf(vector) };
        assert.equal(verifyConsistency(claim), !vector.wantErr, `${file}: ${vector.desc}`);
      }
    });
  });
}
