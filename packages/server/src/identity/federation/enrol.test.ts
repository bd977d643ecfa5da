import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import { jwkThumbprint } from '../../identity/tokens/jws.ts';
import { onEachDatabase, onPostgres } from '../people/testing/databases.ts';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createJoinToken, revokeJoinToken } from './join-tokens.ts';
import { federationLimits } from './limits.ts';
import { type Answer, postJson } from './testing/present.ts';

const AGENT = 'agent-joiner-prod';
const BY = 'person:owner@example.test';

const joinToken = (house: House, change: { agent?: string; addresses?: string[]; ttlSeconds?: number } = {}) =>
  createJoinToken(house, { agent: AGENT, addresses: [], ttlSeconds: 600, by: BY, ...change });

async function enrol(
  house: House,
  credential: { join_token: string } | { token: string },
  change: { agent?: string; keys?: dpop.KeyPair; boundTo?: string } = {},
): Promise<Answer & { keys: dpop.KeyPair }> {
  const keys = change.keys ?? (await dpop.generateKeyPair('ES256', { extractable: true }));
  const secret = 'token' in credential ? credential.token : credential.join_token;
  const body = { ...credential, ...(change.agent !== undefined && { agent: change.agent }) };
  const answer = await postJson(house, '/enrol', body, { keys, credential: change.boundTo ?? secret });
  return { ...answer, keys };
}

const codeOf = ({ status, body }: Answer) => [status, body.title];
const keysOf = async (house: House, agent = AGENT) => {
  const row = await house.storage.db.selectFrom('agents').select('body').where('name', '=', agent).executeTakeFirst();
  return (JSON.parse(row?.body ?? '{}') as { keys?: unknown[] }).keys ?? [];
};

onEachDatabase('enrolment', (database) => {
  let house: House;
  let issuer: ForeignIssuer;

  before(async () => {
    house = await openHouse({ database: await database() });
    issuer = await openForeignIssuer(house.publicUrl);
    await house.furnish();
    await house.apply(agentManifest(AGENT), agentManifest('agent-other-prod'), agentManifest('agent-stopped-prod'), {
      kind: 'TrustRule',
      name: 'joiner',
      issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
      claims: { sub: 'joiner' },
      agent: AGENT,
    } as ManifestInput as never);
  });
  after(async () => {
    await issuer.close();
    await house.close();
  });

  /** @proves enrol.join-token, enrol.recorded */
  test('with a join token gives the agent a key with which it then gets tokens, once, and is recorded', async () => {
    const { token, id } = await joinToken(house);
    const first = await enrol(house, { join_token: token });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.equal(first.body.agent, AGENT);
    const print = jwkThumbprint((await crypto.subtle.exportKey('jwk', first.keys.publicKey)) as never);
    assert.equal(first.body.key, print);
    const [record] = (await house.records('agent.enrol')).slice(-1);
    assert.match(
      JSON.stringify(record),
      new RegExp(`join-token:${id}.*key ${print} enrolled.*from (::ffff:)?127.0.0.1`),
    );
    const again = await enrol(house, { join_token: token });
    assert.deepEqual(codeOf(again), [403, 'join-token.refused']);
    assert.deepEqual(codeOf(await enrol(house, { join_token: token }, { keys: first.keys })), [
      403,
      'join-token.refused',
    ]);
  });

  test('keeps no join token, only its digest', async () => {
    const { token } = await joinToken(house);
    const rows = await house.storage.db.selectFrom('join_tokens').selectAll().execute();
    assert.ok(rows.length > 0);
    assert.doesNotMatch(JSON.stringify(rows), new RegExp(token.slice(4)));
    const entries = await house.storage.db.selectFrom('records').select('entry').execute();
    assert.doesNotMatch(JSON.stringify(entries), new RegExp(token.slice(4)));
  });

  /** @proves enrol.join-token */
  test('raced by three with one join token: one key goes in', async () => {
    for (let round = 0; round < 5; round++) {
      await house.apply(agentManifest(`agent-raced-${round}`));
      const { token } = await joinToken(house, { agent: `agent-raced-${round}` });
      const answers = await Promise.all([1, 2, 3].map(() => enrol(house, { join_token: token })));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403]);
      assert.equal((await keysOf(house, `agent-raced-${round}`)).length, 1);
    }
  });

  test('refuses a join token that is expired, revoked, invented, or for another address, all in the same words', async () => {
    const elsewhere = await joinToken(house, { addresses: ['192.0.2.0/24'] });
    const revoked = await joinToken(house);
    await revokeJoinToken(house, AGENT, revoked.id, BY);
    const short = await joinToken(house, { ttlSeconds: 60 });
    await house.storage.db
      .updateTable('join_tokens')
      .set({ expires_at: house.clock.now() })
      .where('id', '=', short.id)
      .execute();
    const before = (await keysOf(house)).length;
    const answers = [];
    for (const token of [elsewhere.token, revoked.token, short.token, `gjt_${'A'.repeat(43)}`, 'x'])
      answers.push(await enrol(house, { join_token: token }));
    for (const answer of answers) {
      assert.deepEqual(codeOf(answer), [403, 'join-token.refused']);
      assert.equal(answer.body.detail, answers[0]?.body.detail);
    }
    assert.equal((await keysOf(house)).length, before);
  });

  test('takes a join token from an address in its ranges', async () => {
    const { token } = await joinToken(house, { addresses: ['192.0.2.0/24', '127.0.0.0/8'] });
    assert.equal((await enrol(house, { join_token: token })).status, 200);
    await assert.rejects(joinToken(house, { addresses: ['127.0.0.1/33'] }), { code: 'join-token.address' });
  });

  test('has no more open join tokens than somebody can look through; used and revoked ones do not count', async () => {
    await house.apply(agentManifest('agent-hoarder-prod'));
    const make = () => joinToken(house, { agent: 'agent-hoarder-prod' });
    const all = [];
    for (let at = 0; at < federationLimits.openJoinTokensPerAgent; at++) all.push(await make());
    await assert.rejects(make(), { code: 'join-token.too-many' });
    await revokeJoinToken(house, 'agent-hoarder-prod', all[0]?.id ?? '', BY);
    assert.equal((await enrol(house, { join_token: all[1]?.token ?? '' })).status, 200);
    assert.ok((await make()) && (await make()));
    await assert.rejects(make(), { code: 'join-token.too-many' });
  });

  test('of another agent than the proof is for is refused, a look-alike name included, and uses nothing up', async () => {
    const { token } = await joinToken(house);
    assert.deepEqual(codeOf(await enrol(house, { join_token: token }, { agent: 'agent-other-prod' })), [
      403,
      'enrol.other-agent',
    ]);
    // Cyrillic a.
    assert.deepEqual(codeOf(await enrol(house, { join_token: token }, { agent: 'аgent-joiner-prod' })), [
      400,
      'body.invalid',
    ]);
    assert.equal((await enrol(house, { join_token: token }, { agent: AGENT })).status, 200);
  });

  /** @proves enrol.possession */
  test('needs a proof by the key, and for this very credential; nothing is used up without', async () => {
    const { token } = await joinToken(house);
    const bare = await postJson(house, '/enrol', { join_token: token });
    assert.deepEqual(codeOf(bare), [401, 'proof.missing']);
    const other = await enrol(house, { join_token: token }, { boundTo: 'gjt_another' });
    assert.equal(other.status, 401, JSON.stringify(other.body));
    assert.match(String(other.body.title), /^proof\./);
    const garbage = await fetch(`${house.address}/enrol`, {
      method: 'POST',
      headers: { dpop: 'a.b.c', 'content-type': 'application/json' },
      body: JSON.stringify({ join_token: token }),
    });
    assert.equal(garbage.status, 401);
    assert.equal((await enrol(house, { join_token: token })).status, 200);
  });

  test('refuses a key that another agent has', async () => {
    const first = await enrol(house, { join_token: (await joinToken(house, { agent: 'agent-other-prod' })).token });
    await house.settled();
    const { token } = await joinToken(house);
    const second = await enrol(house, { join_token: token }, { keys: first.keys });
    assert.deepEqual(codeOf(second), [409, 'agent.key-taken']);
  });

  /** @proves law-6.federation */
  test('is refused to an agent that is killed, suspended or retired, and its join token is not used up by that', async () => {
    const agent = 'agent-stopped-prod';
    const { token } = await joinToken(house, { agent });
    await house.registry.setAgentState(agent, 'suspended', BY, { killed: true });
    assert.deepEqual(codeOf(await enrol(house, { join_token: token })), [403, 'agent.killed']);
    await assert.rejects(joinToken(house, { agent }), { code: 'join-token.agent' });
    await house.registry.setAgentState(agent, 'active', BY);
    await house.registry.setAgentState(agent, 'suspended', BY);
    assert.deepEqual(codeOf(await enrol(house, { join_token: token })), [403, 'agent.suspended']);
    await house.registry.setAgentState(agent, 'retired', BY);
    assert.deepEqual(codeOf(await enrol(house, { join_token: token })), [403, 'agent.retired']);
    assert.equal((await keysOf(house, agent)).length, 0);
  });

  test('with a token of an outside issuer is recorded with the rule and who it was, once', async () => {
    const token = await issuer.sign({ sub: 'joiner' }, { alg: 'ES256' });
    const first = await enrol(house, { token });
    assert.equal(first.status, 200, JSON.stringify(first.body));
    const [record] = (await house.records('agent.enrol')).slice(-1);
    assert.match(JSON.stringify(record), /trust-rule:joiner.*proven: http.*joiner/);
    assert.deepEqual(codeOf(await enrol(house, { token })), [403, 'outside-token.used']);
    const stranger = await enrol(house, { token: await issuer.sign({ sub: 'stranger' }) });
    assert.deepEqual(codeOf(stranger), [403, 'trust.no-match']);
  });

  test('an access token of the house itself enrols nothing', async () => {
    const { token } = await joinToken(house);
    assert.equal((await enrol(house, { token })).status, 403);
    const own = await issuer.sign({ iss: house.publicUrl, sub: 'joiner' });
    assert.deepEqual(codeOf(await enrol(house, { token: own })), [403, 'outside-token.own']);
  });

  test('refuses bodies that are large, deep, ambiguous or no JSON before anything is looked up', async () => {
    const post = async (body: string) => {
      const response = await fetch(`${house.address}/enrol`, { method: 'POST', body });
      return [response.status, ((await response.json()) as { title: string }).title];
    };
    assert.deepEqual(await post('x'.repeat(100_000)), [413, 'body.too-large']);
    assert.equal((await post('{"join_token":"a","join_token":"b"}'))[0], 400);
    assert.equal((await post(`${'['.repeat(50)}${']'.repeat(50)}`))[0], 400);
    assert.equal((await post('not json'))[0], 400);
    assert.deepEqual(await post('{"join_token":"a","token":"b"}'), [400, 'body.invalid']);
  });

  test('leaves no trace of a credential in the log', () => {
    assertCleanLog(house);
    for (const line of house.lines) assert.doesNotMatch(line, /gjt_/);
  });
});

onPostgres('enrolment at replicas', (database) => {
  /** @proves enrol.join-token */
  test('of three with one join token at two replicas one enrols; a kill at one holds at the other', async () => {
    const url = await database();
    const here = await openHouse({ database: url });
    const there = await openHouse({ database: url, publicUrl: here.publicUrl });
    try {
      await here.furnish();
      for (let round = 0; round < 5; round++) {
        const agent = `agent-raced-${round}`;
        await here.apply(agentManifest(agent));
        await there.settled();
        const { token } = await joinToken(here, { agent });
        const answers = await Promise.all([here, there, there].map((at) => enrol(at, { join_token: token })));
        assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403], JSON.stringify(answers));
        assert.equal((await keysOf(here, agent)).length, 1);
      }
      const { token } = await joinToken(here, { agent: 'agent-raced-0' });
      await here.registry.setAgentState('agent-raced-0', 'suspended', BY, { killed: true });
      assert.deepEqual(codeOf(await enrol(there, { join_token: token })), [403, 'agent.killed']);
    } finally {
      await there.close();
      await here.close();
    }
  });
});
