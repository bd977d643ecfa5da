import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArgumentOrigin, Decision, Undo } from '@gatehouse/protocol';
import { riskOf, whyAlone } from './risk.ts';

const decision: Decision = {
  effect: 'needs-approval',
  tier: 3,
  code: 'x',
  reason: '',
  policies: ['t#0'],
  policyVersion: 'p',
};
const undoable: Undo = { possible: 'yes', how: null, withinSeconds: null, isSaid: true, isDestructive: false };
const amount = (value: string): ArgumentOrigin => ({
  argument: 'amount',
  role: 'amount',
  provenance: 'stated',
  value,
  words: '',
  source: null,
  held: [],
});
const score = (
  change: Partial<Decision>,
  { undo = undoable, isProduction = false, origins = [] as ArgumentOrigin[] } = {},
) => riskOf({ decision: { ...decision, ...change }, origins }, { undo, isProduction }).score;

test('what makes an action graver puts it ahead, and says so', () => {
  const plain = score({});
  for (const graver of [
    score({ policies: ['gatehouse/flow#untrusted-argument'] }),
    score({ situation: { deviations: [{ kind: 'hour', words: 'at night' }] as never } }),
    score({ situation: { untrusted: true } }),
    score({ situation: { sensitive: ['personal'] } }),
    score({ code: 'budget.approval' }),
    score({}, { undo: { ...undoable, possible: 'no' } }),
    score({}, { undo: { ...undoable, possible: 'partly' } }),
    score({}, { isProduction: true }),
    score({}, { origins: [amount('4000')] }),
  ])
    assert.ok(graver > plain);
  assert.ok(score({}, { origins: [amount('400000')] }) > score({}, { origins: [amount('40')] }));
  const { reasons } = riskOf(
    { decision: { ...decision, policies: ['gatehouse/flow#sensitive-out'] }, origins: [] },
    { undo: { ...undoable, possible: 'no', isSaid: false }, isProduction: true },
  );
  assert.deepEqual(reasons, [
    'it is held for what its task has read',
    'nobody has said that it can be undone',
    'it is in production',
  ]);
});

/** @proves approval.alone */
test('what is held for what was read, is unusual, or can’t be undone is signed alone', () => {
  const call = { operation: 'tools/call', decision, origins: [], undo: undoable };
  assert.equal(whyAlone(call), null);
  assert.equal(whyAlone({ ...call, undo: { ...undoable, possible: 'partly' } }), null);
  for (const alone of [
    { ...call, operation: 'results/release' },
    { ...call, repeats: 'act_before' },
    { ...call, undo: { ...undoable, possible: 'no' as const } },
    { ...call, undo: { ...undoable, possible: 'no' as const, isSaid: false } },
    { ...call, decision: { ...decision, policies: ['gatehouse/flow#sensitive-out'] } },
    { ...call, decision: { ...decision, situation: { deviations: [{ kind: 'hour', words: '' }] as never } } },
    { ...call, origins: [{ ...amount('1'), held: [{ role: 'amount' as const, value: '1' }] }] },
  ])
    assert.notEqual(whyAlone(alone), null);
});
