import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as oauth from 'oauth4webapi';
import { type AgentClient, createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';

let house: House;
let client: AgentClient;
let other: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  client = await createAgentClient(house, await house.enrol('agent-support-prod'));
  other = await createAgentClient(house, await house.enrol('agent-other-prod'));
});
after(() => house.close());

describe('introspection', () => {
  test('tells an agent about its own token, with what it is bound to', async () => {
    const { access_token, authorization_details } = await client.startTask();
    const answer = await client.introspect(access_token);
    assert.equal(answer.active, true);
    assert.equal(answer.client_id, 'agent-support-prod');
    assert.equal(answer.token_type, 'DPoP');
    assert.equal(answer.aud, house.resource);
    assert.match(String((answer.cnf as { jkt: string }).jkt), /^[\w-]{43}$/);
    assert.equal((answer.authorization_details as { task: string }[])[0]?.task, authorization_details[0].task);
    assert.equal('gatehouse' in answer, false);
  });

  test('tells nothing of the token of another agent, of a made-up one, of an ended one', async () => {
    const { access_token, authorization_details } = await client.startTask();
    assert.deepEqual(await other.introspect(access_token), { active: false });
    for (const text of ['opaque', 'a.b.c', `${access_token}x`])
      assert.deepEqual(await client.introspect(text), { active: false });
    await house.registry.endTask(authorization_details[0].task, 'person:owner@example.test');
    await house.settled();
    assert.deepEqual(await client.introspect(access_token), { active: false });
  });

  test('is for agents that prove themselves', async () => {
    const { access_token: token } = await client.startTask();
    const answer = await client.post({ path: '/oauth/introspect', form: { token, client_assertion: 'x.y.z' } });
    assert.ok([400, 401].includes(answer.status));
    assert.equal('active' in answer.body, false);
    const anonymous = await client.post({ path: '/oauth/introspect', form: { token, client_assertion: undefined } });
    assert.equal(anonymous.body.error, 'invalid_request');
  });

  test('without a token is an error that says so', async () => {
    const { status, body } = await client.post({ path: '/oauth/introspect' });
    assert.equal(status, 400);
    assert.match(String(body.error_description), /token/);
  });
});

describe('revocation', () => {
  test('ends a token for the very next call, and is in the log', async () => {
    const { access_token } = await client.startTask();
    assert.equal((await client.call(access_token)).status, 200);
    await client.revoke(access_token);
    await house.settled();
    const refused = await client.call(access_token).catch((error: unknown) => error);
    assert.ok(refused instanceof oauth.WWWAuthenticateChallengeError, String(refused));
    assert.equal(refused.cause[0]?.parameters.error, 'invalid_token');
    assert.deepEqual(await client.introspect(access_token), { active: false });
    const { jti } = JSON.parse(Buffer.from(access_token.split('.')[1] as string, 'base64url').toString());
    assert.ok((await house.records('token.revoke')).at(-1)?.changes[0]?.includes(jti));
  });

  test('of one token leaves the other tokens of the task alone', async () => {
    const first = await client.startTask();
    const { task, type } = first.authorization_details[0];
    const second = await client.startTask({ type, task });
    await client.revoke(first.access_token);
    await house.settled();
    assert.equal((await client.call(second.access_token)).status, 200);
  });

  test('of the token of another agent does nothing, and looks the same (RFC 7009 §2.2)', async () => {
    const { access_token } = await client.startTask();
    await other.revoke(access_token);
    await other.revoke('made-up');
    await house.settled();
    assert.equal((await client.call(access_token)).status, 200);
  });

  test('twice is no error', async () => {
    const { access_token } = await client.startTask();
    await client.revoke(access_token);
    await house.settled();
    await client.revoke(access_token);
  });
});
