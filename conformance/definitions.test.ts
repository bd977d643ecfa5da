import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type House, startHouse } from './definitions/house.ts';
import { twelve } from './definitions/operators.ts';
import { casesOf, malform, mutate, restored } from './definitions/run.ts';

const seed = Number(process.env.DEFINITIONS_SEED ?? randomInt(2 ** 31));
/** How many of the cases are tried here; `npm run conformance -- --only definitions` tries all. */
const SAMPLE = 40;
let house: House;

before(async () => {
  house = await startHouse();
});
after(() => house.close());

test('there are twelve operators', () => {
  assert.equal(new Set(twelve.map(({ kind }) => kind)).size, 12);
});

test('real servers are approved as they are, and every tool is reached by its own name alone', async () => {
  assert.deepEqual(house.notTaken, []);
  assert.deepEqual(await restored(house), []);
});

/** @proves law-8.pinned */
test('of real servers every change is held, unseen and not run; the same said in another order is not held', async (t) => {
  t.diagnostic(`DEFINITIONS_SEED=${seed}`);
  const all = casesOf(house);
  const step = Math.floor(all.length / SAMPLE);
  for (let at = seed % step; at < all.length; at += step) {
    const each = all[at] as (typeof all)[number];
    const { what, kind, name, meaning, ...found } = await mutate(house, each);
    const held = meaning === 'changed' || (kind === 'reorder' && name === 'what is required');
    assert.deepEqual(found, { held, leaked: false, ran: false, disturbed: false }, `${what}: ${kind}, ${name}`);
  }
  assert.deepEqual(await restored(house), [], 'what is served again as it was approved is taken again');
});

/** @proves law-8.arguments */
test('of twelve kinds of calls that do not fit none reaches a server', async () => {
  const found = await malform(house, 2);
  assert.equal(found.length, 12);
  for (const { name, calls, refused, reached } of found) {
    assert.ok(calls > 0, name);
    assert.deepEqual([refused, reached], [calls, 0], name);
  }
});
