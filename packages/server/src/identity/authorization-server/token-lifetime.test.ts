import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type AgentClient, createAgentClient, supportTask } from '../testing/agent-client.ts';
import { authenticate as authenticateAt, claimsOf, type Presented, refusalOf } from '../testing/calls.ts';
import { agentManifest, type EnrolledAgent, type House, openHouse } from '../testing/house.ts';

let house: House;
let agent: EnrolledAgent;
let client: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await house.enrol('agent-support-prod');
  client = await createAgentClient(house, agent);
});
after(() => house.close());

const owner = 'person:owner@example.test';

const authenticate = (presented: Presented) => authenticateAt(house, presented);
const refusal = (presented: Presented) => refusalOf(house, presented);

async function withProof(token: string, options: { url?: string; method?: string } = {}): Promise<Presented> {
  const { url = house.resource, method = 'POST' } = options;
  return { authorization: `DPoP ${token}`, dpop: await client.proof(url, { token, method }), url, method };
}

describe('what ends a token before its time, at the next call', () => {
  const start = async (name: string) => {
    const its = await createAgentClient(house, await house.enrol(name));
    const { access_token: token, authorization_details } = await its.startTask();
    const call = async () => ({
      authorization: `DPoP ${token}`,
      dpop: await its.proof(house.resource, { token }),
    });
    await authenticate(await call());
    return { call, token, its, task: authorization_details[0].task };
  };

  test('suspension, and kill', async () => {
    for (const [name, killed, code] of [
      ['agent-suspended', false, 'agent.suspended'],
      ['agent-killed', true, 'agent.killed'],
    ] as const) {
      const { call } = await start(name);
      await house.registry.setAgentState(name, 'suspended', owner, { killed });
      await house.settled();
      assert.equal((await refusal(await call())).code, code);
    }
  });

  test('suspension and reactivation: the epoch has moved on, and the old token stays dead', async () => {
    const { call, its } = await start('agent-woken');
    await house.registry.setAgentState('agent-woken', 'suspended', owner);
    await house.registry.setAgentState('agent-woken', 'active', owner);
    await house.settled();
    assert.match((await refusal(await call())).code, /token\.stale|task\.over/);
    const { access_token: token } = await its.startTask();
    await authenticate({ authorization: `DPoP ${token}`, dpop: await its.proof(house.resource, { token }) });
  });

  test('the end of its task', async () => {
    const { call, task } = await start('agent-done');
    await house.registry.endTask(task, owner);
    await house.settled();
    assert.equal((await refusal(await call())).code, 'task.over');
  });

  test('the change of a bearer-only agent to one that must use DPoP', async () => {
    const enrolled = await house.enrol('agent-bearer', { bearerOnly: true });
    const its = await createAgentClient(house, enrolled);
    const { body } = await its.post({ bearer: true });
    const authorization = `Bearer ${body.access_token}`;
    const caller = await authenticate({ authorization });
    assert.equal(caller.proofKey, null);
    assert.equal((await refusal({ authorization: `DPoP ${body.access_token}` })).code, 'token.scheme');
    await house.apply(agentManifest('agent-bearer', { keys: [enrolled.publicJwk], bearerOnly: false }));
    assert.match((await refusal({ authorization })).code, /token\.(unbound|stale)/);
  });

  test('the destruction of the key that signed it', async () => {
    const { call, its } = await start('agent-rotated');
    await house.identity.keys.rotate({ by: owner });
    await authenticate(await call());
    await house.identity.keys.rotate({ by: owner, compromised: true });
    assert.equal((await refusal(await call())).code, 'token.invalid');
    const { access_token: token } = await its.startTask();
    await authenticate({ authorization: `DPoP ${token}`, dpop: await its.proof(house.resource, { token }) });
  });

  test('a replica that has lost touch with the workspace lets nobody in', async () => {
    const deaf = await openHouse();
    try {
      await deaf.furnish();
      const its = await createAgentClient(deaf, await deaf.enrol('agent-support-prod'));
      const { access_token: token } = await its.startTask();
      const call = async () => ({
        authorization: `DPoP ${token}`,
        dpop: await its.proof(deaf.resource, { token }),
        url: deaf.resource,
      });
      await authenticateAt(deaf, await call());
      await deaf.stopFeed();
      const { status, body } = await its.post();
      assert.deepEqual([status, body.error], [503, 'temporarily_unavailable']);
      await assert.rejects(
        call().then((presented) => authenticateAt(deaf, presented)),
        { code: 'feed.stale' },
      );
    } finally {
      await deaf.close();
    }
  });
});

describe('time', () => {
  test('a token ends to the second', async () => {
    const { access_token: token, expires_in } = await client.startTask({
      ...supportTask,
      template: 'short',
      parameters: {},
    });
    const { exp } = claimsOf(token);
    assert.ok(expires_in <= 60);
    // Proofs are made by the machine's clock; a nonce makes up for the difference.
    house.pass(exp * 1000 - house.clock.now() + 1);
    try {
      const { code } = await refusal(await withProof(token));
      assert.equal(code, 'token.expired');
    } finally {
      house.pass(Date.now() - house.clock.now());
    }
  });

  test('a proof of a client whose clock is wrong is answered with a nonce that makes it good', async () => {
    const slow = await openHouse();
    try {
      await slow.furnish();
      const its = await createAgentClient(slow, await slow.enrol('agent-slow-clock'));
      slow.pass(120_000);
      await slow.settled();
      const { access_token } = await its.startTask();
      const first = await its.call(access_token).catch((error: Error) => error);
      const second = first instanceof Error ? await its.call(access_token) : first;
      assert.equal(second.status, 200);
    } finally {
      await slow.close();
    }
  });

  test('where every proof needs a nonce, a foreign client gets through by itself', async () => {
    const strict = await openHouse({ requireProofNonce: true });
    try {
      await strict.furnish();
      const its = await createAgentClient(strict, await strict.enrol('agent-nonce'));
      const { access_token } = await its.startTask();
      const first = await its.call(access_token).catch((error: Error) => error);
      const second = first instanceof Error ? await its.call(access_token) : first;
      assert.equal(second.status, 200);
    } finally {
      await strict.close();
    }
  });
});
