import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArgumentBound } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { Json } from '../../platform/index.ts';
import { boundsProblem, covers, unitsOf } from './bounds.ts';

const approved = {
  order: 1042,
  amount: '40.00',
  currency: 'EUR',
  path: 'reports/2026/q1.pdf',
  payment: { cents: 4_000, note: 'x' },
  tags: ['a', 'b'],
};
const bounds: ArgumentBound[] = [
  { at: ['order'], oneOf: [1042, 1043] },
  { at: ['amount'], min: '0.01', max: '50' },
  { at: ['path'], under: 'reports/2026/' },
  { at: ['payment', 'cents'], min: '0', max: '5000' },
];
const like = (change: Record<string, Json>) => covers(approved, { bounds }, { ...approved, ...change });

test('what is within every bound, and otherwise exactly as approved, is covered', () => {
  assert.equal(boundsProblem(approved, { bounds }), undefined);
  assert.ok(like({}));
  assert.ok(like({ order: 1043, amount: '50.00', path: 'reports/2026/march/summary v2.pdf' }));
  assert.ok(like({ payment: { note: 'x', cents: 5_000 } }), 'the order of members says nothing');
});

/** @proves law-4.grant-exact */
test('whatever is written in another way than was signed for is not covered', () => {
  const odd = [
    ...[1044, '1042', 1042.5, null, true, [1042], { order: 1042 }].map((order) => ({ order })),
    ...[
      ...['50.01', '-1', '+1', '1e1', ' 1', '1 ', '01', '1.', '.5', '1,000', '0x10', '１０', '٣', '', '0', '0.001'],
      ...['0.0100001', '50.0000001', 'NaN', 'Infinity', '1_0', '10\u200b', 40, null, ['1'], '99999999999'],
    ].map((amount) => ({ amount })),
    ...['eur', 'EUR ', 'ＥUR', 'ЕUR', null].map((currency) => ({ currency })),
    ...[
      ...[
        'reports/2026',
        'reports/2026/',
        'reports/2027/x',
        'Reports/2026/x',
        'reports/2026/../2025/x',
        'reports/2026/./x',
      ],
      ...['reports/2026//x', 'reports/2026/x/', 'reports/2026/%2e%2e/x', 'reports/2026/..%2fx', 'reports/2026/..\\x'],
      ...[
        'reports/2026/．．/x',
        'reports/2026/x\u0000',
        'reports/2026/.git/config',
        'reports/2026/x.',
        'reports/2026/ x',
      ],
      ...[
        'reports/2026/$(id)',
        'reports/2026/*',
        'reports/2026/x?y',
        'reports/2026/x#y',
        'reports/2026/~',
        'reports/2026/x;y',
      ],
      ...['reports/2026/a\u202eb', 'reports/2026/.. /x', 'reports/2026/x\ny', 'reports/2026/x:y', '/reports/2026/x'],
    ].map((path) => ({ path })),
    ...[{ cents: 5_001, note: 'x' }, { cents: 1, note: 'y' }, { cents: 1 }, { cents: '1', note: 'x' }, [], null].map(
      (payment) => ({ payment }),
    ),
    { payment: { cents: -1, note: 'x' } },
    { payment: { cents: 1e-7, note: 'x' } },
    { payment: { cents: 1, note: 'x', more: 1 } },
    { tags: ['b', 'a'] },
    { extra: 1 },
    { extra: null },
    { __proto__x: 1 },
    { Order: 1042 },
  ];
  for (const change of odd as Record<string, Json>[]) assert.ok(!like(change), JSON.stringify(change));
  for (const name of Object.keys(approved)) {
    const { [name as keyof typeof approved]: _, ...missing } = approved;
    assert.ok(!covers(approved, { bounds }, missing), `without ${name}`);
  }
  for (const args of [null, [], 'x', 1, [approved]]) assert.ok(!covers(approved, { bounds }, args as Json));
});

test('members named as what every object has are arguments like others, and change nothing else', () => {
  const given = JSON.parse('{"__proto__": {"a": 1}, "constructor": 1}') as Json;
  assert.ok(covers(given, { bounds: [{ at: ['constructor'], oneOf: [1, 2] }] }, structuredClone(given)));
  assert.ok(!covers({ a: 1 }, { bounds: [] }, JSON.parse('{"a": 1, "__proto__": {"b": 1}}') as Json));
  assert.notEqual(boundsProblem({ a: 1 }, { bounds: [{ at: ['toString'], oneOf: ['x'] }] }), undefined);
});

test('bounds that say nothing, contradict each other or do not hold for the approved call are refused', () => {
  const wrong: ArgumentBound[][] = [
    [{ at: ['nothing'], oneOf: [1] }],
    [{ at: ['order', 'x'], oneOf: [1] }],
    [{ at: ['order'], oneOf: [7] }],
    [
      { at: ['order'], min: '0', max: '9999' },
      { at: ['order'], oneOf: [1042] },
    ],
    [
      { at: ['payment'], oneOf: ['x'] },
      { at: ['payment', 'cents'], min: '0', max: '5000' },
    ],
    [{ at: ['amount'], min: '50', max: '1' }],
    [{ at: ['amount'], min: '41', max: '50' }],
    [{ at: ['currency'], min: '0', max: '50' }],
    [{ at: ['path'], under: 'reports/2027/' }],
    [{ at: ['path'], under: '//' }],
  ];
  for (const each of wrong) assert.notEqual(boundsProblem(approved, { bounds: each }), undefined, JSON.stringify(each));
  const url = { url: 'https://files.example.test/a/b' };
  assert.equal(boundsProblem(url, { bounds: [{ at: ['url'], under: 'https://files.example.test/a/' }] }), undefined);
  assert.notEqual(boundsProblem(url, { bounds: [{ at: ['url'], under: 'https://' }] }), undefined);
  assert.notEqual(boundsProblem(approved, { bounds: [], sum: { at: ['currency'], max: '5' } }), undefined);
  assert.equal(boundsProblem(approved, { bounds: [], sum: { at: ['amount'], max: '500' } }), undefined);
});

const amounts = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.string({ unit: fc.constantFrom(...'0123456789.-+eE ,xٳ０') }),
  fc.nat({ max: 10_000_000 }).map((cents) => (cents / 100).toFixed(2)),
);

test('no amount that is covered is beyond what was signed, however it is written', () => {
  fc.assert(
    fc.property(amounts, fc.constantFrom<Json>('1.00', 1), (value, was) => {
      const bound: ArgumentBound = { at: ['a'], min: '0.5', max: '1000' };
      if (!covers({ a: was }, { bounds: [bound] }, { a: value })) return;
      assert.equal(typeof value, typeof was);
      assert.ok(Number(value) >= 0.5 && Number(value) <= 1_000);
      assert.equal((unitsOf(value) as number) / 1_000_000, Number(value));
    }),
    { numRuns: 2_000 },
  );
});

test('whatever the arguments, without bounds only the same is covered', () => {
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
  fc.assert(
    fc.property(json, json, (one, other) => {
      const same = JSON.stringify(one) === JSON.stringify(other);
      if (!same && covers(one, { bounds: [] }, other))
        assert.deepEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other)));
      assert.ok(covers(one, { bounds: [] }, structuredClone(one)));
    }),
  );
});
