import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BudgetManifest, budgetManifest } from '@gatehouse/protocol';
import { counterPrefix } from './counter-prefix.ts';

const budget = (fields: object): BudgetManifest =>
  budgetManifest.parse({
    ...{ kind: 'Budget', name: 'refunds', tools: ['*'], per: ['agent'], window: 'day', limit: { count: 20 } },
    ...fields,
  });

test('counters are called the same by every version, so that replicas of two versions share them', () => {
  assert.equal(counterPrefix(budget({})), '671f7152a70f21b7720e726d3ae83842-');
});

test('a higher limit, other tools or another description go on counting; another window, zone or key counts anew', () => {
  const prefix = counterPrefix(budget({}));
  for (const same of [{ limit: { count: 9 } }, { tools: ['shop/*'] }, { description: 'x' }, { over: 'approval' }])
    assert.equal(counterPrefix(budget(same)), prefix, JSON.stringify(same));
  for (const other of [{ window: 'week' }, { zone: 'Asia/Tokyo' }, { per: [] }, { name: 'other' }])
    assert.notEqual(counterPrefix(budget(other)), prefix, JSON.stringify(other));
});
