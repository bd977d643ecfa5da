import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres } from '../../../../../test/support/postgres.ts';
import { openHouse } from '../../identity/people/testing/house.ts';
import { createHeldResults } from './held.ts';

async function keepAndForget(database: string): Promise<void> {
  const house = await openHouse({ database });
  try {
    const store = createHeldResults({ ...house, key: new Uint8Array(32) });
    const one = { call: 'c', agent: 'a', task: 't', actionId: 'x', tool: 's/t', reason: 'r', labels: ['l'] };
    const kept = await store.keep({ ...one, body: { a: 1 }, size: { items: 3, bytes: 9 } });
    assert.deepEqual(await store.find('c'), kept);
    const other = createHeldResults({ ...house, key: new Uint8Array(32).fill(1) });
    assert.equal(await other.find('c'), undefined, 'nothing in a row can be computed without the key');
    assert.doesNotMatch(kept.digest, /^sha256-/);
    await store.askedBy(kept.id, { id: 'apr_1', expiresAt: kept.expiresAt + 5 });
    assert.deepEqual(await store.open(kept), { a: 1 });
    await assert.rejects(store.open({ ...kept, digest: 'sha256-other' }), { code: 'result.changed' });
    const tooLarge = { items: 1, bytes: 64 * 1024 * 1024 };
    await assert.rejects(store.keep({ ...one, body: {}, size: tooLarge }), { code: 'result.too-many-held' });
    await house.storage.transaction((transaction) => store.forget(transaction, 'apr_1'));
    assert.equal(await store.find('c'), undefined);
    await store.keep({ ...one, body: {}, size: { items: 1, bytes: 2 } });
    house.pass(900_000);
    assert.equal(await store.find('c'), undefined, 'what has run out is not found, swept or not');
    await store.sweep();
    assert.equal((await house.storage.db.selectFrom('held_results').selectAll().execute()).length, 0);
  } finally {
    await house.close();
  }
}

/** @proves result.held */
test('what is held is found, opened, forgotten with its approval and swept (SQLite)', () => keepAndForget('sqlite'));

/** @proves result.held */
test('the same on PostgreSQL', async (t) => {
  const server = await startPostgres();
  if (!server) return t.skip('there is no PostgreSQL here');
  const database = await server.createDatabase();
  try {
    await keepAndForget(database.url);
  } finally {
    await database.drop();
    await server.close();
  }
});
