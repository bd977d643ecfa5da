import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { limits } from '../../platform/index.ts';
import type { Agent } from '../../registry/index.ts';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { agentManifest, createKey, type House, openHouse } from '../testing/house.ts';
import { ACCESS_TOKEN, TOKEN_EXCHANGE } from '../testing/oauth-names.ts';
import { createCsr } from '../testing/svid-client.ts';

/** Law 5 at the level of tokens and SVIDs, over random chains. */
const names = Array.from({ length: limits.actorChainDepth + 1 }, (_, at) => `agent-${'abcdefghi'[at]}-prod`);
const servers = ['shop', 'mail'];

let house: House;
const clients: AgentClient[] = [];

before(async () => {
  house = await openHouse();
  await house.furnish();
  for (const [at, name] of names.entries()) {
    const key = await createKey();
    const next = names[at + 1];
    const delegatesTo = { agents: next === undefined ? [] : [next], blueprints: [] };
    await house.apply(agentManifest(name, { keys: [key.publicJwk], delegatesTo }));
    clients.push(await createAgentClient(house, { name, ...key }));
  }
});
after(() => house.close());

const handOn = (to: number, subject: string, resource?: string) =>
  (clients[to] as AgentClient).post({
    form: { grant_type: TOKEN_EXCHANGE, subject_token: subject, subject_token_type: ACCESS_TOKEN, resource },
  });
const audience = (at: number) => (at === 0 ? house.resource : `${house.resource}/${servers[at - 1]}`);
const covers = (wide: string, narrow: string) => wide === narrow || wide === house.resource;

const svidOf = async (at: number, token: string): Promise<number> => {
  const path = '/svid/x509';
  const response = await fetch(house.address + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `DPoP ${token}`,
      dpop: await (clients[at] as AgentClient).proof(house.publicUrl + path, { token }),
    },
    body: JSON.stringify({ csr: createCsr().pem }),
  });
  return response.status;
};
/** Made directly, as whoever has proven the agent by another way than a token of the task would ask for it. */
const issueFor = async (at: number, task: string) => {
  const agent = house.registry.snapshot().agents.get(names[at] as string) as Agent;
  const running = await house.registry.task(task);
  return house.identity.trustDomain.issueX509({
    subject: { agent, task: running ?? null },
    csr: createCsr().pem,
    via: 'test',
  });
};

const jwtSvidFor = async (at: number, task: string): Promise<string> => {
  const agent = house.registry.snapshot().agents.get(names[at] as string) as Agent;
  const subject = { agent, task: (await house.registry.task(task)) ?? null };
  return (await house.identity.trustDomain.issueJwt({ subject, audience: ['db'], via: 'test' })).token;
};

/** @proves law-5.chains */
test('over random chains no token outlives, widens or lengthens what it came from, and a stopped ancestor stops every descendant', async () => {
  const wishes = fc.array(fc.integer({ min: -1, max: servers.length }), { minLength: 1, maxLength: names.length - 1 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: servers.length }), wishes, fc.nat(), async (first, chain, pick) => {
      const started = await (clients[0] as AgentClient).startTask(supportTask, audience(first));
      const line = [{ token: started.access_token, task: started.authorization_details[0].task }];
      for (const [index, wish] of chain.entries()) {
        const above = line.at(-1)?.token ?? '';
        const given = decodeJwt(above);
        const resource = wish === -1 ? undefined : audience(wish);
        const { status, body } = await handOn(index + 1, above, resource);
        const mayBe =
          (resource === undefined || covers(String(given.aud), resource)) && line.length < limits.actorChainDepth;
        assert.equal(status, mayBe ? 200 : 400, JSON.stringify(body));
        if (!mayBe) break;
        const claims = decodeJwt(String(body.access_token));
        assert.ok(Number(claims.exp) <= Number(given.exp));
        assert.ok(covers(String(given.aud), String(claims.aud)));
        line.push({ token: String(body.access_token), task: body.authorization_details?.[0].task ?? '' });
      }
      assert.ok(line.length <= limits.actorChainDepth);
      if (line.length < 2) return;
      const stopped = pick % (line.length - 1);
      const svids = await Promise.all(line.map(({ task }, at) => jwtSvidFor(at, task)));
      await house.registry.setAgentState(names[stopped] as string, 'suspended', 'gatehouse');
      await house.settled();
      try {
        for (let at = stopped + 1; at < line.length; at++) {
          const { token, task } = line[at] as (typeof line)[number];
          const held = await house.identity.trustDomain.verifyJwtSvid(svids[at] ?? '', 'db');
          assert.match((await house.identity.trustDomain.whyRefused(held)) ?? '', /suspended/);
          const again = await (clients[at] as AgentClient).post({
            form: { authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', task }]) },
          });
          assert.ok(again.status >= 400, 'a new token of the task');
          if (at + 1 < names.length) assert.equal((await handOn(at + 1, token)).status, 400, 'handed on');
          assert.equal(await svidOf(at, token), 401, 'an SVID by its token');
          await assert.rejects(issueFor(at, task), { code: 'agent.chain' });
          const door = await fetch(`${house.address}/mcp`, {
            method: 'POST',
            headers: {
              authorization: `DPoP ${token}`,
              dpop: await (clients[at] as AgentClient).proof(`${house.publicUrl}/mcp`, { token }),
            },
          });
          assert.equal(door.status, 401, 'the door');
        }
      } finally {
        await house.registry.setAgentState(names[stopped] as string, 'active', 'gatehouse');
        await house.settled();
      }
    }),
    { numRuns: 12 },
  );
});
