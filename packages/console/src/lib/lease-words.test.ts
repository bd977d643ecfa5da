import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abilitiesOf, residualOf } from '@gatehouse/protocol/residual';
import fc from 'fast-check';
import { scopeLines } from './lease-words.ts';

const able = { canRenew: false, canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 };

test('what remains of a credential is said in words, and never as less than its provider declares', () => {
  assert.match(residualOf(able).words, /its sessions are ended at once/);
  assert.match(residualOf({ ...able, maxResidualSeconds: 3_600 }).words, /within 60 min/);
  assert.match(residualOf({ ...able, canEndSessions: false }).words, /may go on/);
  for (const cannot of [{ canRevoke: false }, { maxResidualSeconds: null }]) {
    const { words, remains } = residualOf({ ...able, ...cannot });
    assert.match(words, /can’t be taken back/);
    assert.equal(remains, 'until-expiry');
  }
  const ends = { endsByItself: true };
  assert.match(residualOf(abilitiesOf({ ...ends, kind: null, maxResidualSeconds: null })).words, /can’t be taken back/);
  const ssh = { ...able, canRevoke: false, canEndSessions: false, maxResidualSeconds: null, sessionsOutlive: true };
  assert.match(residualOf(ssh).words, /sessions that are open go on/);
  assert.match(residualOf(ssh).after, /until their host ends them/);
  // Nothing ends a secret that is kept elsewhere, and nobody is told that its time does: also where its provider is declared no more.
  for (const kind of [null, { type: 'static', abilities: { ...able, isStored: true } }]) {
    const stored = residualOf(abilitiesOf({ kind, endsByItself: false, maxResidualSeconds: null }));
    assert.equal(stored.remains, 'stored');
    assert.match(stored.words, /works until somebody changes it where it is kept/);
  }
  // What it promised when it was issued counts, also where its provider promises more by now.
  const kind = { type: 'postgres', abilities: able };
  assert.match(residualOf(abilitiesOf({ ...ends, kind, maxResidualSeconds: 30 })).words, /within 30 s/);
});

test('a scope is read in the words of its kind, and nothing of it is left out', () => {
  assert.deepEqual(
    scopeLines({
      grants: [{ tables: ['orders', 'refunds'], privileges: ['SELECT', 'INSERT'], columns: ['id'], schema: 'shop' }],
    }),
    ['SELECT, INSERT on shop.orders, shop.refunds; columns: id'],
  );
  assert.deepEqual(
    scopeLines({ allow: [{ actions: ['s3:GetObject'], resources: ['arn:aws:s3:::b/*'], region: 'x' }] }),
    ['s3:GetObject on arn:aws:s3:::b/*; region: x'],
  );
  assert.deepEqual(scopeLines({ repositories: ['shop/web'], permissions: { contents: 'read', issues: 'write' } }), [
    'repositories: shop/web',
    'permissions: contents read, issues write',
  ]);
  assert.deepEqual(scopeLines({ rules: [{ path: 'a' }] }), ['rules: [{"path":"a"}]']);
  assert.deepEqual([scopeLines({}), scopeLines(null)], [[], []]);
});

test('each word of a scope stands in what people are shown, whatever kind it is of', () => {
  const word = fc.stringMatching(/^[a-z]{6,12}$/);
  const words = fc.oneof(
    word,
    fc.array(word, { minLength: 1, maxLength: 3 }),
    fc.dictionary(word, word, { maxKeys: 3 }),
  );
  const members = fc.dictionary(
    fc.oneof(word, fc.constantFrom('privileges', 'tables', 'actions', 'resources', 'schema', 'columns')),
    words,
    { maxKeys: 4 },
  );
  const scope = fc.dictionary(
    fc.constantFrom('grants', 'allow', 'keys', 'rules'),
    fc.oneof(words, fc.array(members, { minLength: 1, maxLength: 3 })),
  );
  fc.assert(
    fc.property(scope, (given) => {
      const shown = scopeLines(given).join('\n');
      for (const each of leaves(given))
        assert.ok(shown.includes(each), `${each} of ${JSON.stringify(given)} in ${shown}`);
    }),
  );
});

const leaves = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Object.values(value as object).flatMap(leaves);
