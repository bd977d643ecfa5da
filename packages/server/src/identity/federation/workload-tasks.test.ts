import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { type Answer, postJson } from './testing/present.ts';

const BY = 'person:owner@example.test';
const TASK = { type: 'urn:gatehouse:task', template: 'support', parameters: { customer: 'cus_1' }, intent: 'ticket 7' };
const codeOf = ({ status, body }: Answer) => [status, body.title];

onEachDatabase('tasks that a workload starts', (database) => {
  let house: House;
  let issuer: ForeignIssuer;

  const workload = (name: string, starts: string[]): Manifest => ({
    kind: 'Workload',
    name,
    owner: 'owner@example.test',
    purpose: 'ticket system',
    environment: 'prod',
    state: 'active',
    starts,
  });
  const rule = (name: string, stands: { agent?: string; workload?: string }, reuse?: 'same-key'): Manifest => ({
    kind: 'TrustRule',
    name,
    issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
    claims: { sub: name },
    state: 'active',
    ...(reuse && { reuse }),
    ...stands,
  });

  before(async () => {
    house = await openHouse({ database: await database() });
    issuer = await openForeignIssuer(house.publicUrl);
    await house.furnish();
    await house.apply(
      agentManifest('agent-started-prod'),
      agentManifest('agent-other-prod'),
      workload('tickets', ['agent-started-prod']),
      workload('again', ['agent-started-prod']),
      rule('tickets', { workload: 'tickets' }),
      rule('again', { workload: 'again' }, 'same-key'),
      rule('itself', { agent: 'agent-started-prod' }),
    );
  });
  after(async () => {
    await issuer.close();
    await house.close();
  });

  const start = (token: string, change: { agent?: string; task?: unknown; keys?: dpop.KeyPair } = {}) => {
    const { agent = 'agent-started-prod', task = TASK, keys } = change;
    const body = { proof: { token }, agent, task };
    return postJson(house, '/workload/tasks', body, keys && { keys, credential: token });
  };
  const started = async () =>
    (await house.storage.db.selectFrom('tasks').select('id').where('state', '=', 'active').execute()).length;

  /** @proves workload.tasks */
  test('start once for each proof, are vouched for by it, and are recorded with what it proved', async () => {
    const token = await issuer.sign({ sub: 'tickets' });
    const before = await started();
    const answers = await Promise.all([start(token), start(token), start(token)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403], JSON.stringify(answers));
    assert.equal(await started(), before + 1);
    const task = answers.find(({ status }) => status === 200)?.body.task as { id: string; vouchedBy: string };
    assert.equal(task.vouchedBy, 'spiffe://example.test/env/prod/workload/tickets');
    const [record] = (await house.records('workload.prove')).slice(-1);
    assert.equal(record?.task, task.id);
    assert.match(JSON.stringify(record), /by trust rule tickets.*proven: http.*tickets/);
  });

  test('that cannot start, whatever is wrong with them, use no proof up', async () => {
    const token = await issuer.sign({ sub: 'tickets' });
    const other = await start(token, { agent: 'agent-other-prod' });
    assert.deepEqual(codeOf(other), [403, 'workload.may-not-start']);
    assert.equal((await start(token, { agent: 'agent-nobody-prod' })).status >= 400, true);
    for (const task of [
      {},
      { ...TASK, template: 'administration' },
      { ...TASK, template: 'missing' },
      { ...TASK, parameters: {} },
      { ...TASK, parameters: { customer: 'cus_1', more: 1 } },
      { ...TASK, more: 1 },
    ]) {
      const { status } = await start(token, { task });
      assert.ok(status >= 400 && status < 500, `${status}: ${JSON.stringify(task)}`);
    }
    const bare = await postJson(house, '/workload/tasks', { proof: token, agent: 'agent-started-prod', task: TASK });
    assert.match(String(bare.body.detail), /proof: expected \{"token": "JWT"\}/);
    const untyped = await start(token, { task: { ...TASK, type: undefined } });
    assert.match(String(untyped.body.detail), /task\.type: .*urn:gatehouse:task/);
    assert.equal((await start(token)).status, 200);
  });

  test('start with a token again only where its rule says so, and then with the key of its first use', async () => {
    const [keys, others] = [await dpop.generateKeyPair('ES256'), await dpop.generateKeyPair('ES256')];
    const token = await issuer.sign({ sub: 'again' });
    assert.equal((await start(token, { keys })).status, 200);
    assert.equal((await start(token, { keys })).status, 200);
    assert.deepEqual(codeOf(await start(token, { keys: others })), [403, 'outside-token.other-key']);
    assert.deepEqual(codeOf(await start(token)), [403, 'outside-token.other-key']);
    const bare = await issuer.sign({ sub: 'again' });
    assert.equal((await start(bare)).status, 200);
    assert.deepEqual(codeOf(await start(bare)), [403, 'outside-token.other-key']);
  });

  test('do not start with the proof of an agent, nor does a workload enrol or get a token', async () => {
    assert.deepEqual(codeOf(await start(await issuer.sign({ sub: 'itself' }))), [403, 'workload.not-one']);
    const token = await issuer.sign({ sub: 'tickets' });
    const keys = await dpop.generateKeyPair('ES256');
    const enrolled = await postJson(house, '/enrol', { token }, { keys, credential: token });
    assert.deepEqual(codeOf(enrolled), [403, 'enrol.other-agent']);
  });

  /** @proves law-6.federation */
  test('are not started by a workload that is killed, suspended or retired, nor for such an agent', async () => {
    const ask = async () => codeOf(await start(await issuer.sign({ sub: 'tickets' })));
    await house.registry.setAgentState('agent-started-prod', 'suspended', BY, { killed: true });
    assert.deepEqual(await ask(), [403, 'agent.killed']);
    await house.registry.setAgentState('agent-started-prod', 'active', BY);
    assert.equal((await ask())[0], 200);
    await house.registry.setWorkloadState('tickets', 'suspended', BY, { killed: true });
    await house.settled();
    assert.deepEqual(await ask(), [403, 'workload.killed']);
    const tasks = await house.registry.listTasks({ agent: 'agent-started-prod', state: 'active', limit: 100 });
    assert.deepEqual(
      tasks.filter(({ vouchedBy }) => vouchedBy?.endsWith('/tickets')),
      [],
    );
    await house.registry.setWorkloadState('tickets', 'active', BY);
    assert.equal((await ask())[0], 200);
    await house.registry.setWorkloadState('tickets', 'suspended', BY);
    assert.deepEqual(await ask(), [403, 'workload.suspended']);
    await house.registry.setWorkloadState('tickets', 'retired', BY);
    assert.deepEqual(await ask(), [403, 'workload.retired']);
    await assert.rejects(house.registry.setWorkloadState('tickets', 'active', BY), { code: 'workload.transition' });
  });

  test('leave no trace of a token in the log', () => assertCleanLog(house));
});
