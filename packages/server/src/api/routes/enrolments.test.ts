import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHouse } from '../../identity/people/testing/house.ts';
import { digestJson } from '../../platform/index.ts';
import { enrolmentOf } from './enrolments.ts';

/** @proves second-yes.enrolled-before */
test('whose passkey it was is found where it was noted later as well, and for nobody else', async (t) => {
  const house = await openHouse();
  t.after(() => house.close());
  const [person, publicKey] = ['ann@example.test', { kty: 'EC', x: 'old' }];
  const keys = [`key ${digestJson({ kty: 'EC', x: 'other' })} of bob@example.test noted`];
  await house.storage.transaction((transaction) =>
    house.recordChange(transaction, {
      ...{ operation: 'passkey.keys', by: 'operator' },
      changes: [...keys, `key ${digestJson(publicKey)} of ${person} noted`],
    }),
  );
  await house.ledger.checkpoint();
  const found = await enrolmentOf(house.ledger, { person, publicKey });
  assert.match(found?.entry ?? '', /"operation":"passkey\.keys"/);
  assert.equal(await enrolmentOf(house.ledger, { person: 'eve@example.test', publicKey }), null);
  assert.equal(await enrolmentOf(house.ledger, { person, publicKey: { kty: 'EC', x: 'other' } }), null);
});
