import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hashesOf, hex, leavesOf } from '../test/support.ts';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  inclusionProof,
  MAX_ENTRY_BYTES,
  nodeHash,
  parseTilePath,
  rootFromHashes,
  tileHashReader,
  tilePath,
  VerifierError,
} from './index.ts';

describe('the path of a tile', () => {
  it('is as tlog-tiles writes it', () => {
    assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), 'tile/0/x001/x234/067');
    assert.equal(tilePath({ level: 1, index: 0, width: 17 }), 'tile/1/000.p/17');
    assert.equal(tilePath({ level: 'entries', index: 273, width: 112 }), 'tile/entries/273.p/112');
    assert.equal(tilePath({ level: 2, index: 1000, width: 256 }), 'tile/2/x001/000');
  });

  it('is read back to the same tile', () => {
    const level = fc.oneof(fc.nat(63), fc.constant('entries' as const));
    fc.assert(
      fc.property(level, fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }), (level, index, width) => {
        assert.deepEqual(parseTilePath(tilePath({ level, index, width })), { level, index, width });
      }),
    );
  });

  it('has one spelling: anything else a client could ask for is refused', () => {
    const refused = [
      'tile/0/67',
      'tile/0/x000/067',
      'tile/00/067',
      'tile/64/067',
      'tile/-1/067',
      'tile/0/067.p/0',
      'tile/0/067.p/256',
      'tile/0/067.p/01',
      'tile/0/067/x001',
      'tile/0/x999/x999/x999/x999/x999/999',
      'tile/entries/../checkpoint',
      'tile/0/067\n',
      '/tile/0/067',
      'checkpoint',
    ];
    for (const path of refused) assert.throws(() => parseTilePath(path), VerifierError, path);
  });
});

describe('an entry bundle', () => {
  it('puts the length of each entry before it, as two bytes, big-endian', () => {
    const bundle = encodeEntryBundle([Buffer.from('ab'), new Uint8Array(258).fill(1)]);
    assert.equal(hex(bundle), `00026162${'0102'}${'01'.repeat(258)}`);
  });

  it('gives back every entry, empty and largest ones too', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 256 }), (entries) => {
        assert.deepEqual(decodeEntryBundle(encodeEntryBundle(entries)).map(hex), entries.map(hex));
      }),
    );
    const largest = new Uint8Array(MAX_ENTRY_BYTES).fill(9);
    assert.equal(decodeEntryBundle(encodeEntryBundle([largest]))[0]?.length, MAX_ENTRY_BYTES);
  });

  it('is refused where an entry is too long, or the bundle is cut anywhere within an entry', () => {
    assert.throws(() => encodeEntryBundle([new Uint8Array(MAX_ENTRY_BYTES + 1)]), VerifierError);
    const bundle = encodeEntryBundle([Buffer.from('abc'), Buffer.from('de')]);
    for (const cut of [1, 2, 3, 4, 6, 7, 8]) {
      assert.throws(() => decodeEntryBundle(bundle.slice(0, cut)), VerifierError, `cut at ${cut}`);
    }
  });
});

describe('proofs from tiles', () => {
  const leaves = leavesOf(70_000);

  /** Tile by tile as tlog-tiles defines them, from all leaf hashes. */
  function tilesOf(size: number) {
    const levels = [leaves.slice(0, size)];
    for (let level = levels[0] as Uint8Array[]; level.length >= 256; ) {
      const above: Uint8Array[] = [];
      for (let i = 0; i + 256 <= level.length; i += 256) above.push(hashesOf(level)(8, i / 256) as Uint8Array);
      levels.push(above);
      level = above;
    }
    return levels;
  }

  it('equal those from all records, reading only tiles that a log of this size has', async () => {
    for (const size of [1, 2, 255, 256, 257, 512, 70_000]) {
      const levels = tilesOf(size);
      const read = tileHashReader(size, (level, index, width) => {
        const hashes = levels[level]?.slice(index * 256, (index + 1) * 256) ?? [];
        assert.equal(hashes.length, width, `tile ${level}/${index} of ${size} records`);
        return Buffer.concat(hashes);
      });
      const all = hashesOf(leaves.slice(0, size));
      assert.equal(hex(await rootFromHashes(size, read)), hex(await rootFromHashes(size, all)));
      for (const index of new Set([0, Math.floor(size / 3), size - 1])) {
        const expected = await inclusionProof(index, size, all);
        assert.deepEqual((await inclusionProof(index, size, read)).map(hex), expected.map(hex));
      }
    }
  });

  it('are refused from a tile that is cut short, and beyond the log', async () => {
    const [left, right] = leaves as [Uint8Array, Uint8Array];
    const read = tileHashReader(2, (_level, _index, width) => Buffer.concat([left, right]).subarray(0, 32 * width - 1));
    await assert.rejects(Promise.resolve(read(1, 0)), VerifierError);
    const whole = tileHashReader(2, () => Buffer.concat([left, right]));
    assert.equal(hex(await whole(1, 0)), hex(nodeHash(left, right)));
    await assert.rejects(Promise.resolve(whole(0, 2)), RangeError);
    await assert.rejects(Promise.resolve(whole(2, 0)), RangeError);
  });
});
