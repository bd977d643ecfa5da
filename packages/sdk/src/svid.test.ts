import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rotateAt } from './svid.ts';

test('an SVID is replaced at half of its life, a tenth of that earlier or later, whatever the chance', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 41 }),
      fc.integer({ min: 1_000, max: 3_600_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (issuedAt, life, random) => {
        const at = (rotateAt(issuedAt, issuedAt + life, random) - issuedAt) / life;
        assert.ok(at > 0.4499 && at < 0.5501, String(at));
      },
    ),
  );
  assert.notEqual(rotateAt(0, 3_600_000, 0), rotateAt(0, 3_600_000, 1));
});
