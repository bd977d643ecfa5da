import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Approval, ApprovalState } from '@gatehouse/protocol';
import { createMemory } from './memory.ts';
import { newRow, toApproval } from './rows.ts';
import { requestOf } from './testing/desk.ts';

const row = newRow('apr_1', requestOf(), { policyAuthors: [], createdAt: 0, expiresAt: 1_000 });
const as = (state: ApprovalState): Approval => toApproval({ ...row, state }, [], 0);

test('a read that was overtaken does not turn a yes back into a question', () => {
  const memory = createMemory({ now: () => 0 });
  memory.put(as('approved'), 'action');
  memory.put(as('pending'), 'action');
  assert.equal(memory.find('action')?.state, 'approved');
  memory.put(as('denied'), 'action');
  assert.equal(memory.find('action'), undefined);
});

test('what has run out is let go of, whoever used it', () => {
  let now = 0;
  const memory = createMemory({ now: () => now });
  memory.put(as('approved'), 'action');
  now = 1_000;
  assert.equal(memory.find('action'), undefined);
  memory.purge();
  now = 0;
  assert.equal(memory.find('action'), undefined);
});
