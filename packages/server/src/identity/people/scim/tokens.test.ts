import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { onEachDatabase } from '../testing/databases.ts';
import { type House, openHouse } from '../testing/house.ts';
import { scimLimits as limits } from './limits.ts';
import { createScimTokens, type ScimTokens } from './tokens.ts';

/** @proves scim.bearer */
onEachDatabase('tokens of directories', (database) => {
  let house: House;
  let tokens: ScimTokens;
  before(async () => {
    house = await openHouse({ database: await database() });
    tokens = createScimTokens(house);
  });
  after(() => house.close());

  test('one that was made for a time is worth nothing after it, and says how long it is good', async () => {
    const { token, view } = await tokens.create({ name: 'entra', expiresInDays: 1, by: 'person:admin@example.test' });
    const carried = `Bearer ${token.reveal()}`;
    house.pass(86_400_000 - 1);
    assert.equal((await tokens.authenticate(carried))?.id, view.id);
    house.pass(1);
    assert.equal(await tokens.authenticate(carried), undefined);
    assert.equal((await tokens.list())[0]?.expiresAt, house.clock.now());
  });

  test('there are no more than the limit', async () => {
    const make = () => tokens.create({ name: 'more', by: 'person:admin@example.test' });
    while ((await tokens.list()).length < limits.tokens) await make();
    await assert.rejects(make(), { code: 'scim-token.too-many' });
  });
});
