import assert from 'node:assert/strict';
import { test } from 'node:test';
import { draftsOf, isAsWanted, kindsOf, requestOf } from './grant-request.ts';

const args = {
  order: 1042,
  amount: '40.00',
  path: 'reports/2026/q1.pdf',
  payment: { cents: 5 },
  urgent: true,
  tags: ['a'],
  none: null,
};

test('each plain argument of the approved call can be bounded, and starts as exactly what it was', () => {
  const drafts = draftsOf(args);
  assert.deepEqual(
    drafts.map(({ at }) => at.join('.')),
    ['order', 'amount', 'path', 'payment.cents', 'urgent'],
  );
  assert.deepEqual(requestOf(drafts, { calls: 3, minutes: 10, sumOf: '', sumMax: '' }), {
    calls: 3,
    seconds: 600,
    bounds: [],
  });
  assert.deepEqual(
    drafts.map(kindsOf).map((kinds) => kinds.join(' ')),
    ['exactly one-of between', 'exactly one-of between', 'exactly one-of under', 'exactly one-of between', 'exactly'],
  );
});

test('bounds keep the kind of the value, and a sum names its argument', () => {
  const drafts = draftsOf(args).map((draft) =>
    draft.at[0] === 'order'
      ? { ...draft, kind: 'one-of' as const, values: '1042\n1043\n\n1042' }
      : draft.at[0] === 'amount'
        ? { ...draft, kind: 'between' as const, least: '0.01', most: ' 50 ' }
        : draft.at[0] === 'path'
          ? { ...draft, kind: 'under' as const }
          : draft,
  );
  const request = requestOf(drafts, { calls: 2, minutes: 1, sumOf: 'amount', sumMax: '80.00' });
  assert.deepEqual(request, {
    calls: 2,
    seconds: 60,
    bounds: [
      { at: ['order'], oneOf: [1042, 1043] },
      { at: ['amount'], min: '0.01', max: '50' },
      { at: ['path'], under: 'reports/2026/' },
    ],
    sum: { at: ['amount'], max: '80.00' },
  });
  const { seconds: _, ...rest } = request;
  const terms = { ...rest, from: 1_000, until: 61_000 };
  assert.ok(isAsWanted(terms, request));
  assert.ok(isAsWanted({ ...terms, until: 31_000 }, request), 'the task may end before');
  for (const other of [
    { ...terms, until: 61_001 },
    { ...terms, calls: 3 },
    { ...terms, bounds: [] },
    { ...terms, sum: undefined },
    null,
  ])
    assert.ok(!isAsWanted(other as typeof terms, request));
  assert.ok(!isAsWanted(terms, undefined));
});
