import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentOf, restartWords, usedWords } from './budget.ts';

test('how full a counter is: also where nothing is allowed, and beyond the limit', () => {
  assert.equal(percentOf({ used: '40.00', of: '500.00' }), 8);
  assert.equal(percentOf({ used: '0', of: '0' }), 100);
  assert.equal(percentOf({ used: '30', of: '20' }), 150);
  assert.equal(percentOf({ used: 'many', of: '20' }), 0);
  assert.equal(usedWords({ limit: 'sum', used: '40.00', of: '500.00', unit: 'EUR' }), '40.00 of 500.00 EUR');
});

test('what has no time of its own says when it starts again', () => {
  assert.equal(restartWords({}), 'when a running call ends');
  assert.equal(restartWords({ window: 'task' }), 'never within its task');
  assert.match(restartWords({ window: { seconds: 3600 } }), /last 3,600 s/);
});
