import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';

const rows = (house: House) => house.storage.db.selectFrom('oauth_artifacts').selectAll().execute();

/** @proves oauth.forgets */
test('what has expired is forgotten without anybody asking for a token, and not before', async () => {
  const house = await openHouse();
  try {
    await house.furnish();
    await house.apply({
      kind: 'Client',
      name: 'app',
      displayName: 'App',
      redirectUris: ['http://127.0.0.1/callback'],
      keys: [],
    });
    const client = await createAgentClient(house, await house.enrol('agent-support-prod'));
    for (let count = 0; count < 5; count++) await client.startTask();
    const used = await rows(house);
    assert.equal(used.length, 5);
    for (const { payload, expires_at } of used) {
      assert.equal(payload, '{}');
      assert.ok(expires_at !== null && expires_at > Date.now());
    }
    const form = new URLSearchParams({ client_id: 'app' });
    const begun = await fetch(`${house.publicUrl}/oauth/device`, { method: 'POST', body: form });
    assert.equal(begun.status, 200);
    await house.identity.sweep();
    assert.equal((await rows(house)).length, 6);
    house.pass(12 * 60_000);
    await house.identity.sweep();
    assert.deepEqual(await rows(house), []);
  } finally {
    await house.close();
  }
});
