import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ActionRecord } from '@gatehouse/protocol';
import { UnsecuredJWT } from 'jose';
import { authorizationLimits } from './authorization-server/limits.ts';
import { type AgentClient, createAgentClient, supportTask } from './testing/agent-client.ts';
import { createKey, type House, openHouse } from './testing/house.ts';

const AGENT = 'agent-support-prod';
let house: House;
let client: AgentClient;
let thief: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  const agent = await house.enrol(AGENT);
  client = await createAgentClient(house, agent);
  thief = await createAgentClient(house, agent);
});
after(() => house.close());

const refusals = () => house.records('token.refuse');
const call = (headers: Record<string, string>) => fetch(`${house.address}/mcp`, { method: 'POST', headers });

/** Refusals are counted by the minute. */
async function nextMinute(): Promise<void> {
  house.pass(60_000 - (house.clock.now() % 60_000));
  await house.settled();
}

/** The one record that `attempt` leaves behind. */
async function recordOf(attempt: () => Promise<{ status: number }>): Promise<ActionRecord> {
  await nextMinute();
  const before = (await refusals()).length;
  const { status } = await attempt();
  assert.ok(status === 400 || status === 401, `${status}`);
  const [record, ...others] = (await refusals()).slice(before);
  assert.deepEqual(others, []);
  assert.ok(record, 'nothing is on record');
  return record;
}

/** @proves law-1.credentials */
test('a token or proof that a door refuses is on record, with whose token it was and without the token', async () => {
  const { access_token: token, authorization_details } = await client.startTask();
  const url = house.resource;
  const proof = await client.proof(url, { token });
  assert.equal((await call({ authorization: `DPoP ${token}`, dpop: proof })).status, 200);
  const forged = new UnsecuredJWT({ sub: AGENT }).encode();
  const attempts: [code: string, known: boolean, headers: () => Promise<Record<string, string>>][] = [
    [
      'token.other-key',
      true,
      async () => ({ authorization: `DPoP ${token}`, dpop: await thief.proof(url, { token }) }),
    ],
    ['token.scheme', true, async () => ({ authorization: `Bearer ${token}` })],
    ['token.invalid', false, async () => ({ authorization: `Bearer ${forged}` })],
    ['token.invalid', false, async () => ({ authorization: `DPoP ${token.slice(0, -4)}AAAA` })],
    ['token.malformed', false, async () => ({ authorization: 'Basic dXNlcjpwYXNz' })],
  ];
  // The replayed proof has to be as fresh as it was.
  const first = await call({ authorization: `DPoP ${token}`, dpop: proof });
  assert.equal(first.status, 401);
  assert.match((await refusals()).at(-1)?.changes[0] ?? '', /POST \/mcp: proof\.replayed/);
  for (const [code, known, headers] of attempts) {
    const record = await recordOf(async () => call(await headers()));
    assert.equal(record.changes[0], `POST /mcp: ${code}`);
    assert.deepEqual(
      [record.agent, record.task],
      known ? [AGENT, authorization_details[0].task] : [null, null],
      JSON.stringify(record),
    );
    assert.equal(JSON.stringify(record).includes(token.slice(-40)), false);
  }
});

/** @proves law-1.credentials */
test('what the token endpoint refuses is on record, in the name of whoever has proven theirs', async () => {
  const stolen = await client.assertion();
  await client.post({ form: { client_assertion: stolen } });
  const other = await createKey();
  const attempts: [says: RegExp, known: boolean, change: Parameters<AgentClient['post']>[0]][] = [
    [/invalid_client/, false, { form: { client_assertion: stolen } }],
    [/invalid_client/, false, { assertion: { key: other.privateKey } }],
    [/invalid_client/, false, { assertion: { claims: { aud: 'https://other.example' } } }],
    [/invalid_target/, true, { form: { resource: 'https://other.example/mcp' } }],
    [/invalid_scope/, true, { form: { scope: 'everything' } }],
    [/invalid_dpop_proof/, true, { bearer: true }],
  ];
  for (const [says, known, change] of attempts) {
    const record = await recordOf(() => client.post(change));
    assert.match(record.changes[0] ?? '', says);
    assert.match(record.changes[0] ?? '', /^POST \/oauth\/token: /);
    assert.equal(record.agent, known ? AGENT : null);
    assert.ok(record.detail);
    assert.equal(JSON.stringify(record).includes(stolen.slice(-40)), false);
  }
});

/** @proves law-1.credentials */
test('nobody fills the log with refusals: they are bounded by agent, for all others together, and the rest is counted', async () => {
  const { access_token: token } = await client.startTask();
  await nextMinute();
  const { agentRefusalsPerMinute: mine, unprovenRefusalsPerMinute: others } = authorizationLimits;
  const before = (await refusals()).length;
  for (let at = 0; at < others + 5; at++) assert.equal((await call({ authorization: 'Bearer x.y.z' })).status, 401);
  assert.equal((await refusals()).length, before + others);
  // Whoever proves nothing does not hide what an agent does.
  for (let at = 0; at < mine + 5; at++) assert.equal((await call({ authorization: `Bearer ${token}` })).status, 401);
  assert.equal((await refusals()).length, before + others + mine);
  const next = await recordOf(() => call({ authorization: 'Bearer x.y.z' }));
  assert.match(next.changes[1] ?? '', /^5 more before this one/);
});

test('what a client meets in the course of things is no refusal', async () => {
  const { access_token: token } = await client.startTask();
  const before = (await refusals()).length;
  assert.equal((await call({})).status, 401);
  const late = await client.proof(house.resource, { token });
  house.pass(120_000);
  await house.settled();
  assert.equal((await call({ authorization: `DPoP ${token}`, dpop: late })).status, 401);
  house.pass(16 * 60_000);
  await house.settled();
  assert.equal((await call({ authorization: `DPoP ${token}`, dpop: late })).status, 401);
  assert.equal((await refusals()).length, before);
});

/** @proves law-1.credentials */
test('whoever is not let in where SVIDs are given, keys enrolled and tasks started is on record, proven or not', async () => {
  const post = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(house.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const forged = new UnsecuredJWT({ iss: 'https://issuer.example', sub: 'x', jti: 'secret-of-it' }).encode();
  const attempts: [path: string, body: object, headers?: Record<string, string>][] = [
    ['/svid/jwt', { audience: ['shop'] }],
    ['/svid/jwt', { audience: ['shop'] }, { authorization: `Bearer ${forged}` }],
    ['/svid/jwt', { audience: ['shop'], clientAssertion: forged }],
    ['/svid/jwt', { audience: ['shop'], proof: { token: forged } }],
    ['/enrol', { token: forged }],
    ['/enrol', { join_token: 'A'.repeat(43) }],
    [
      '/workload/tasks',
      { proof: { token: forged }, agent: AGENT, task: { ...supportTask, type: 'urn:gatehouse:task' } },
    ],
  ];
  for (const [path, body, headers] of attempts) {
    await nextMinute();
    const before = (await refusals()).length;
    const { status } = await post(path, body, headers);
    assert.ok(status === 401 || status === 403, `${path} ${JSON.stringify(body)}: ${status}`);
    const [record, ...others] = (await refusals()).slice(before);
    assert.deepEqual(others, [], path);
    assert.match(record?.changes[0] ?? '', new RegExp(`^POST ${path}: `));
    assert.doesNotMatch(JSON.stringify(record), /secret-of-it|AAAAAAAAAA/);
  }
  await nextMinute();
  const before = (await refusals()).length;
  for (let at = 0; at < authorizationLimits.unprovenRefusalsPerMinute + 5; at++)
    await post('/svid/jwt', { audience: ['a'] });
  assert.equal((await refusals()).length - before, authorizationLimits.unprovenRefusalsPerMinute);
});
