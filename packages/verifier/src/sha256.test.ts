import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nodeSha256 } from './node.ts';
import { sha256 } from './sha256.ts';

const reference = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('the portable SHA-256', () => {
  it('gives the digest of "abc" published in FIPS 180-4', () => {
    const published = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    assert.equal(hex(sha256(Buffer.from('abc'))), published);
    assert.equal(hex(nodeSha256(Buffer.from('abc'))), published);
  });

  it('agrees with OpenSSL at every length across several block boundaries', () => {
    for (let length = 0; length <= 300; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 0xff);
      assert.equal(hex(sha256(bytes)), reference(bytes), `${length} bytes`);
    }
  });

  it('agrees with OpenSSL on arbitrary bytes, also inside a larger buffer, and leaves them alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(64), (bytes, offset) => {
        const buffer = new Uint8Array(offset + bytes.length + 7).fill(0xee);
        buffer.set(bytes, offset);
        const view = buffer.subarray(offset, offset + bytes.length);
        assert.equal(hex(sha256(view)), reference(bytes));
        assert.deepEqual([...view], [...bytes]);
      }),
    );
  });
});
