import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { Secret } from '../platform/index.ts';
import { createSealer } from './sealer.ts';

const sealer = createSealer(randomBytes(32));

test('what is sealed opens to the same value, and only in its own context', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const sealed = sealer.seal(new Secret(text), 'secret:github');
      assert.equal(sealer.open(sealed, 'secret:github').reveal(), text);
      assert.throws(() => sealer.open(sealed, 'secret:gitlab'), { code: 'sealer.unreadable' });
    }),
    { numRuns: 50 },
  );
});

test('a sealed value with any byte changed does not open', () => {
  const sealed = sealer.seal(new Secret('hunter2'), 'c');
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => sealer.open(changed, 'c'), { code: 'sealer.unreadable' }, `byte ${at}`);
  }
});

test('another key-encryption key does not open it', () => {
  const sealed = sealer.seal(new Secret('hunter2'), 'c');
  assert.throws(() => createSealer(randomBytes(32)).open(sealed, 'c'), { code: 'sealer.unreadable' });
});
