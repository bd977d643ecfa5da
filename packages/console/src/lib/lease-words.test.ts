import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abilitiesOf, residualOf, scopeLines } from './lease-words.ts';

const able = { canRenew: false, canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 };

test('what remains of a credential is said in words, and never as less than its provider declares', () => {
  assert.match(residualOf(able).words, /its sessions are ended at once/);
  assert.match(residualOf({ ...able, maxResidualSeconds: 3_600 }).words, /within 60 min/);
  assert.match(residualOf({ ...able, canEndSessions: false }).words, /may go on/);
  for (const cannot of [{ canRevoke: false }, { maxResidualSeconds: null }]) {
    const { words, until } = residualOf({ ...able, ...cannot });
    assert.match(words, /can’t be taken back/);
    assert.ok(until);
  }
  assert.match(residualOf(abilitiesOf({ kind: null, maxResidualSeconds: null })).words, /can’t be taken back/);
  // What it promised when it was issued counts, also where its provider promises more by now.
  const kind = { type: 'postgres', abilities: able };
  assert.match(residualOf(abilitiesOf({ kind, maxResidualSeconds: 30 })).words, /within 30 s/);
});

test('a scope is read in the words of its kind, and nothing of it is left out', () => {
  assert.deepEqual(
    scopeLines({
      grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT', 'INSERT'], columns: ['id'], schema: 'shop' }],
    }),
    ['SELECT, INSERT on shop.orders, shop.refunds, columns id'],
  );
  assert.deepEqual(scopeLines({ repositories: ['shop/web'], permissions: { contents: 'read', issues: 'write' } }), [
    'repositories: shop/web',
    'permissions: contents read, issues write',
  ]);
  assert.deepEqual(scopeLines({ rules: [{ path: 'a' }] }), ['rules: [{"path":"a"}]']);
  assert.deepEqual([scopeLines({}), scopeLines(null)], [[], []]);
});
