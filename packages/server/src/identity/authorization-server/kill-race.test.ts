import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgentClient } from '../testing/agent-client.ts';
import { openHouse } from '../testing/house.ts';

/** Law 6: no path mints for a killed agent, however the requests and the switch race. */
test('of tokens asked for while an agent is killed, none works once the kill has returned, and none is made after', async () => {
  const house = await openHouse();
  try {
    await house.furnish();
    for (let round = 0; round < 5; round++) {
      const name = `agent-racing-${'abcde'[round]}`;
      const client = await createAgentClient(house, await house.enrol(name));
      const tokens: string[] = [];
      let killed = false;
      /** A replica that lost touch for a moment lets nobody in, killed or not: that decides nothing, and is asked again. */
      const decisive = async () => {
        for (;;) {
          const wasKilled = killed;
          const answer = await client.post();
          if (answer.body.error !== 'temporarily_unavailable') return { wasKilled, ...answer };
          await house.settled();
        }
      };
      const racers = Array.from({ length: 8 }, async () => {
        for (let attempt = 0; attempt < 6; attempt++) {
          const { wasKilled, status, body } = await decisive();
          if (status === 200) {
            assert.equal(wasKilled, false, 'a token was issued to a request made after the kill had returned');
            tokens.push(body.access_token as string);
          } else assert.equal(body.error, 'unauthorized_client');
        }
      });
      while (tokens.length < round * 3) await new Promise((resolve) => setImmediate(resolve));
      const { change } = await house.registry.setAgentState(name, 'suspended', 'person:owner@example.test', {
        killed: true,
      });
      await house.storage.feed.waitForAll(change);
      killed = true;
      await Promise.all(racers);
      for (const token of tokens)
        await assert.rejects(
          house.identity.tokens.authenticate({
            authorization: `DPoP ${token}`,
            dpop: await client.proof(house.resource, { token }),
            method: 'POST',
            url: house.resource,
          }),
          { code: 'agent.killed' },
        );
      // What was recorded as issued is exactly what was given out.
      const issued = (await house.records('token.issue')).filter(({ agent }) => agent === name);
      assert.equal(issued.length, tokens.length);
    }
  } finally {
    await house.close();
  }
});
