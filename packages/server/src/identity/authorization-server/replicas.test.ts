import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Task } from '@gatehouse/protocol';
import { startPostgres, type TestDatabase, type TestPostgres } from '../../../../../test/support/postgres.ts';
import type { Agent } from '../../registry/index.ts';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { createCsr } from '../testing/svid-client.ts';
import { issueAccessToken } from '../tokens/issue-access-token.ts';

/** Two replicas on one PostgreSQL: what one issues, revokes, stops or rotates holds at the other. */
const postgres = await startPostgres();

describe('two replicas', { skip: postgres === undefined && 'PostgreSQL is missing' }, () => {
  const { createDatabase, close } = postgres as TestPostgres;
  let database: TestDatabase;
  let here: House;
  let there: House;
  let client: AgentClient;
  const owner = 'person:owner@example.test';

  before(async () => {
    database = await createDatabase();
    here = await openHouse({ database: database.url });
    there = await openHouse({ database: database.url, publicUrl: here.publicUrl });
    await here.furnish();
    client = await createAgentClient(here, await here.enrol('agent-support-prod'));
  });
  after(async () => {
    await there.close();
    await here.close();
    await close();
  });

  const call = async (at: House, token: string, by = client) =>
    at.identity.tokens.authenticate({
      authorization: `DPoP ${token}`,
      dpop: await by.proof(here.resource, { token }),
      method: 'POST',
      url: here.resource,
    });
  const everywhere = async () => {
    await here.settled();
    await there.settled();
  };

  test('a token of one is good at the other', async () => {
    const { access_token } = await client.startTask();
    assert.equal((await call(there, access_token)).agent, 'agent-support-prod');
    const { status, body } = await client.post({ replica: there });
    assert.equal(status, 200);
    assert.equal((await call(here, body.access_token as string)).agent, 'agent-support-prod');
  });

  test('an assertion presented to both at once is good at one of them', async () => {
    for (let round = 0; round < 10; round++) {
      const client_assertion = await client.assertion();
      const answers = await Promise.all(
        [here, there, here, there].map((replica) => client.post({ replica, form: { client_assertion } })),
      );
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401]);
    }
  });

  test('a token revoked at one is dead at the other', async () => {
    const { access_token } = await client.startTask();
    await call(there, access_token);
    await client.revoke(access_token);
    await everywhere();
    await assert.rejects(call(there, access_token), { code: 'token.revoked' });
  });

  test('an agent killed at one gets nothing and does nothing at the other', async () => {
    const its = await createAgentClient(here, await here.enrol('agent-killed-elsewhere'));
    await everywhere();
    const { access_token } = await its.startTask();
    await call(there, access_token, its);
    const { change } = await here.registry.setAgentState('agent-killed-elsewhere', 'suspended', owner, {
      killed: true,
    });
    await here.storage.feed.waitForAll(change);
    await assert.rejects(call(there, access_token, its), { code: 'agent.killed' });
    assert.equal((await its.post({ replica: there })).body.error, 'unauthorized_client');
  });

  /** @proves law-6.issue */
  test('while a kill at one commits, what is being made at the other waits for it, and is not made', async () => {
    const name = 'agent-killed-meanwhile';
    await here.enrol(name);
    const details = { ...supportTask, type: 'urn:gatehouse:task' as const };
    const started = await here.registry.startTask(name, details);
    await everywhere();
    const agent = there.registry.snapshot().agents.get(name) as Agent;
    const task = (await there.registry.task(started.id)) as Task;
    const issue = { agent, task, audience: here.resource, binding: {}, via: 'test' };
    const made = () => [
      issueAccessToken({ ...there, keys: there.identity.keys }, issue),
      there.identity.trustDomain.issueX509({ subject: { agent, task: null }, csr: createCsr().der, via: 'test' }),
      there.identity.trustDomain.issueJwt({ subject: { agent, task }, audience: ['shop'], via: 'test' }),
    ];
    for (const each of made()) await each;
    const recorded = async () =>
      [await here.records('token.issue'), await here.records('svid.issue')].flat().filter(({ agent }) => agent === name)
        .length;
    const before = await recorded();
    let inFlight: Promise<PromiseSettledResult<unknown>[]> | undefined;
    let isCommitted = false;
    let early = 0;
    await here.storage.transaction(async (transaction) => {
      await here.storage.bumpFence(transaction, `agent:${name}`);
      const all = made().map((each) =>
        each.finally(() => {
          if (!isCommitted) early += 1;
        }),
      );
      inFlight = Promise.allSettled(all);
      await new Promise((resolve) => setTimeout(resolve, 500));
      isCommitted = true;
    });
    const [token, x509, jwt] = (await inFlight) ?? [];
    assert.equal(early, 0);
    assert.deepEqual(token, { status: 'fulfilled', value: { ok: false, changed: 'agent' } });
    assert.equal((x509 as PromiseRejectedResult).reason?.code, 'agent.changed');
    assert.equal((jwt as PromiseRejectedResult).reason?.code, 'agent.changed');
    assert.equal(await recorded(), before);
  });

  test('a key rotated at one is published and accepted at the other; a compromised one is dead there too', async () => {
    const before = await client.startTask();
    const { kid } = await here.identity.keys.rotate({ by: owner });
    await everywhere();
    assert.ok(there.identity.keys.jwks().keys.some((key) => key.kid === kid));
    await call(there, before.access_token);
    await here.identity.keys.rotate({ by: owner, compromised: true });
    await everywhere();
    await assert.rejects(call(there, before.access_token), { code: 'token.invalid' });
    const { body } = await client.post({ replica: there });
    await call(here, body.access_token as string);
  });
});

describe('replicas that start', { skip: postgres === undefined && 'PostgreSQL is missing' }, () => {
  let server: TestPostgres;
  before(async () => {
    server = (await startPostgres()) as TestPostgres;
  });
  after(() => server.close());

  test('for the first time at the same moment sign and accept with the same keys', async () => {
    const { url } = await server.createDatabase();
    const houses = await Promise.all([0, 1, 2].map(() => openHouse({ database: url })));
    try {
      for (const house of houses) {
        await house.settled();
        for (const other of houses)
          assert.ok(await house.identity.keys.verifier(other.identity.keys.signer().kid), 'a key is unknown');
      }
    } finally {
      for (const house of houses) await house.close();
    }
  });

  test('with nonces required: a captured proof is for one replica and for no other', async () => {
    const { url } = await server.createDatabase();
    const first = await openHouse({ database: url, requireProofNonce: true });
    const second = await openHouse({ database: url, requireProofNonce: true, publicUrl: first.publicUrl });
    try {
      await first.furnish();
      const client = await createAgentClient(first, await first.enrol('agent-support-prod'));
      await second.settled();
      const { access_token: token } = await client.startTask();
      const request = (dpop: string) => ({
        authorization: `DPoP ${token}`,
        dpop,
        method: 'POST',
        url: first.resource,
      });
      const refused = await first.identity.tokens
        .authenticate(request(await client.proof(first.resource, { token })))
        .catch((error: { extra: { dpopNonce: string } }) => error.extra);
      const nonce = (refused as { dpopNonce: string }).dpopNonce;
      const captured = request(await client.proof(first.resource, { token, nonce }));
      assert.equal((await first.identity.tokens.authenticate(captured)).agent, 'agent-support-prod');
      await assert.rejects(second.identity.tokens.authenticate(captured), { code: 'proof.nonce' });
      await assert.rejects(first.identity.tokens.authenticate(captured), { code: 'proof.replayed' });
    } finally {
      await second.close();
      await first.close();
    }
  });
});
