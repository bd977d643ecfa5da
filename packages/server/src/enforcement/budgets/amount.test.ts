import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAmount, showAmount } from './amount.ts';

test('amounts are read exactly, from numbers and from texts', () => {
  const amounts: [unknown, number][] = [
    [0, 0],
    [40, 40_000_000],
    [0.1, 100_000],
    ['0.1', 100_000],
    ['40.00', 40_000_000],
    ['007', 7_000_000],
    [1e-7, 1],
    [0.1 + 0.2, 300_001],
    ['1.0000001', 1_000_001],
    [9_000_000_000, 9_000_000_000_000_000],
  ];
  for (const [value, units] of amounts) assert.equal(readAmount(value as never), units, String(value));
});

test('what is no amount is read as none, never as zero', () => {
  for (const value of [
    -1,
    -0.001,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e21,
    9_000_000_001,
    '9000000000.1',
    '',
    ' 1',
    '1 ',
    '+1',
    '-1',
    '1e3',
    '0x1',
    '1,5',
    '1.',
    '.5',
    '1.2.3',
    '１',
    '1'.repeat(61),
    true,
    null,
    undefined,
    [],
    [1],
    {},
  ])
    assert.equal(readAmount(value as never), null, JSON.stringify(value));
});

test('what is shown is what was read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_000_000_000 }), fc.integer({ min: 0, max: 999_999 }), (whole, fraction) => {
      const text = `${whole}.${String(fraction).padStart(6, '0')}`;
      const units = readAmount(text);
      if (units === null) return assert.equal(whole, 9_000_000_000);
      assert.equal(readAmount(showAmount(units, 0, null)), units);
      assert.equal(Number(showAmount(units, 0, null)), Number(text));
    }),
  );
  assert.equal(showAmount(480_000_000, 0, 'EUR'), '480.00 EUR');
  assert.equal(showAmount(50_000_000_000, 2, 'EUR'), '500.00 EUR', 'cents');
  assert.equal(showAmount(1_500_000, 0, null), '1.5');
  assert.equal(showAmount(0, 0, null), '0');
});
