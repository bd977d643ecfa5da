import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { Secret } from '../platform/index.ts';
import { createSealer, isWrappedBy, keyEncryptionKey, rewrap, sealedWith } from './sealer.ts';

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

const VERSION_1 =
  'AW9OPwm32LHOuKJALJghiW92TbtPFJmWFPBzR2jZShQDTa2e9paOXDWo5MeZnqegms/lKTQUHKQKha54bh6PcBR+MN6qrbHwYpPLlVjERdEQtLFBFQs51eSijra1WcIH';
const old = keyEncryptionKey(Buffer.alloc(32, 7));
const next = keyEncryptionKey(Buffer.alloc(32, 8));

test('what an earlier version sealed still opens, in its own context, beside newer keys', () => {
  const sealed = Buffer.from(VERSION_1, 'base64');
  assert.equal(sealedWith(sealed), null);
  const both = createSealer({ current: () => next, held: () => [next, old] });
  assert.equal(both.open(sealed, 'signing-key:k').reveal(), 'hunter2');
  assert.throws(() => both.open(sealed, 'signing-key:other'), { code: 'sealer.unreadable' });
});

test('a sealed value says which key it needs, and is sealed anew for another without being opened', () => {
  const sealed = createSealer(old.key).seal(new Secret('hunter2'), 'c');
  assert.equal(sealedWith(sealed), old.id);
  assert.throws(
    () => createSealer(next.key).open(sealed, 'c'),
    new RegExp(`sealed with the key-encryption key ${old.id}`),
  );
  const ring = { current: () => next, held: () => [old, next] };
  for (const [before, context] of [
    [sealed, 'c'],
    [Buffer.from(VERSION_1, 'base64'), 'signing-key:k'],
  ] as const) {
    const anew = rewrap(before, ring, context);
    assert.ok(anew);
    assert.equal(isWrappedBy(anew, next), true);
    assert.equal(isWrappedBy(anew, old), false);
    assert.equal(createSealer(next.key).open(anew, context).reveal(), 'hunter2');
    assert.equal(rewrap(anew, ring, context), undefined);
    assert.throws(() => createSealer(next.key).open(anew, 'another'), { code: 'sealer.unreadable' });
  }
});
