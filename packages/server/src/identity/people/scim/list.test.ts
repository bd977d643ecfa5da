import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type House, openHouse } from '../testing/house.ts';
import { scimLimits as limits } from './limits.ts';
import { listed } from './list.ts';
import { projectionAsked } from './projection.ts';

let house: House;
let most = 0;
before(async () => {
  house = await openHouse();
});
after(() => house.close());

/** Users `from` to `to`, as a directory has made them. */
async function make(from: number, to: number) {
  for (let at = from; at < to; at += 500)
    await house.storage.db
      .insertInto('scim_users')
      .values(
        Array.from({ length: Math.min(500, to - at) }, (_, index) => {
          const id = `user-${String(at + index).padStart(6, '0')}`;
          const email = `${id}@example.test`;
          const same = { external_id: null, active: 1, body: '{}', version: 1, created_at: 1, updated_at: 1 };
          return { id, user_name: email, email, ...same };
        }),
      )
      .execute();
}

const find = (filter: string) =>
  listed(
    house.storage.db,
    {
      table: 'scim_users',
      columns: {},
      views(rows) {
        most = Math.max(most, rows.length);
        return rows.map(({ id }) => ({ id, schemas: [], userName: id }));
      },
    },
    { filter, startIndex: 1, count: 10 },
  );

/** @proves scim.filter-bound */
test('a filter finds among as many as the limit, read a piece at a time, and among more is refused', async () => {
  await make(0, limits.filtered);
  const { totalResults, resources } = await find('userName ew "999"');
  assert.equal(totalResults, limits.filtered / 1_000);
  assert.equal(resources.length, 10);
  assert.equal(most, limits.readAtOnce);
  await make(limits.filtered, limits.filtered + 1);
  await assert.rejects(find('userName ew "999"'), { status: 400, scimType: 'tooMany' });
});

test('no more attributes may be named than the limit', () => {
  const query = (count: number, name: string) =>
    new URLSearchParams({ [name]: Array.from({ length: count }, (_, at) => `name${at}`).join(',') });
  for (const name of ['attributes', 'excludedAttributes']) {
    assert.ok(projectionAsked(query(limits.projectedAttributes, name)));
    assert.throws(() => projectionAsked(query(limits.projectedAttributes + 1, name)), {
      status: 400,
      scimType: 'tooMany',
    });
  }
});
