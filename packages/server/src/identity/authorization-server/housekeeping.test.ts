import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentClient, createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';

const rows = (house: House) => house.storage.db.selectFrom('oauth_artifacts').selectAll().execute();

/** A token request some time later, and what it set off. */
async function later(house: House, client: AgentClient, ms: number, done: () => Promise<boolean>): Promise<void> {
  house.pass(ms);
  await house.settled();
  await client.startTask();
  for (let attempt = 0; attempt < 1_000 && !(await done()); attempt++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(await done());
}

test('used assertions are forgotten once they have expired, and not before', async () => {
  const house = await openHouse();
  try {
    await house.furnish();
    const client = await createAgentClient(house, await house.enrol('agent-support-prod'));
    for (let count = 0; count < 5; count++) await client.startTask();
    const used = await rows(house);
    assert.equal(used.length, 5);
    for (const { payload, expires_at } of used) {
      assert.equal(payload, '{}');
      assert.ok(expires_at !== null && expires_at > Date.now());
    }
    const ids = new Set(used.map(({ id }) => id));
    await later(house, client, 10 * 60_000, async () => !(await rows(house)).some(({ id }) => ids.has(id)));
  } finally {
    await house.close();
  }
});
