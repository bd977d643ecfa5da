import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KillResult } from '@gatehouse/protocol';
import type { AgentTask } from '@gatehouse/sdk';
import { startProxy } from '../packages/server/src/storage/suite-proxy.ts';
import { applyTo, enrol, signIn } from './chaos/house.ts';
import { type Member, type Replicas, startReplicas } from './chaos/replicas.ts';
import { startPostgres } from './support/postgres.ts';

/** Two replicas, each a process, on one PostgreSQL database: what one is told holds at the other. */

const request = { template: 'all', intent: 'test' };
const NOTE = 'over-http__note';

let calls = 0;
async function note({ caller }: Member, task: AgentTask, id = `note-${++calls}`) {
  return { id, answer: await caller.call(task, NOTE, { id }) };
}

const inWords = (answer: Awaited<ReturnType<typeof note>>['answer']) =>
  answer.kind === 'not-run' ? answer.text : answer.kind;

async function untilPasses(member: Member, task: AgentTask): Promise<void> {
  for (let turn = 0; turn < 100; turn++) {
    if ((await note(member, task)).answer.kind === 'ran') return;
    await sleep(200);
  }
  assert.fail(`no call passes at ${member.replica.config.replica}`);
}

/** Callers at both replicas, one call after the other, until told to stop. */
function work(members: Member[], task: AgentTask) {
  let stopped = false;
  const working = Promise.all(
    members.flatMap((member) =>
      Array.from({ length: 4 }, async () => {
        while (!stopped) await note(member, task);
      }),
    ),
  );
  return async () => {
    stopped = true;
    await working;
  };
}

const kill = ({ operator }: Member, name: string): Promise<KillResult> =>
  operator.call('POST /agents/:name/kill', { params: { name }, body: { reason: 'test' } });
const activate = ({ operator }: Member, name: string) =>
  operator.call('POST /agents/:name/state', { params: { name }, body: { state: 'active' } });

/** Calls that start now, many at each of these replicas: none may pass, by their answers and by what the upstream saw. */
async function assertNonePasses({ seen }: Replicas, members: Member[], task: AgentTask): Promise<void> {
  const tried = await Promise.all(members.flatMap((member) => Array.from({ length: 25 }, () => note(member, task))));
  assert.deepEqual(
    tried.filter(({ answer }) => answer.kind === 'ran'),
    [],
  );
  const ids = new Set(tried.map(({ id }) => id));
  assert.deepEqual(
    seen().filter((id) => ids.has(id)),
    [],
  );
}

test('two replicas', async (t) => {
  const postgres = await startPostgres();
  if (!postgres) return t.skip('PostgreSQL is missing: see above');
  t.after(postgres.close);
  const { url } = await postgres.createDatabase();
  const network = await startProxy(t as TestContext, url);
  const replicas = await startReplicas([url, network.url]);
  t.after(replicas.close);
  const { members, publicUrl } = replicas;
  const [a, b] = members;
  const bearer = await enrol(a.operator, 'agent-bearer', { bearerOnly: true, url: publicUrl });
  const proving = await enrol(a.operator, 'agent-proving', { bearerOnly: false, url: publicUrl });
  const approver = await signIn(a.operator, 'approver@example.test', publicUrl);
  const provingTask = await proving.startTask(request);

  await t.test('a token that one issued is good at the other', async () => {
    const task = await bearer.startTask(request);
    for (const member of members) {
      assert.equal((await note(member, task)).answer.kind, 'ran');
      assert.equal((await note(member, provingTask)).answer.kind, 'ran');
    }
  });

  // @proves law-6.replicas, law-6.final
  await t.test('when kill returns at one, nothing of the agent passes at either, and none mints for it', async () => {
    for (const [at, other] of [
      [a, b],
      [b, a],
      [a, b],
      [b, a],
    ] as const) {
      const task = await bearer.startTask(request);
      const stop = work(members, task);
      await sleep(300);
      const killed = await kill(at, 'agent-bearer');
      await assertNonePasses(replicas, members, task);
      await stop();
      assert.deepEqual(killed.acknowledged.toSorted(), ['a', 'b']);
      assert.deepEqual(killed.expired, []);
      replicas.lead(other);
      await assert.rejects(bearer.startTask(request), /killed/);
      await assert.rejects(bearer.resumeTask(task.id), /killed/);
      assert.equal((await note(other, provingTask)).answer.kind, 'ran', 'another agent goes on');
      await activate(at, 'agent-bearer');
      await assertNonePasses(replicas, members, task);
    }
  });

  // @proves law-4.once
  await t.test('what was approved at one runs once, however both are asked for it', async () => {
    const task = await bearer.startTask(request);
    for (const [index, [at, other]] of [
      [a, b],
      [b, a],
      [a, b],
      [b, a],
      [a, b],
    ].entries() as Iterable<[number, [Member, Member]]>) {
      const id = `payment-${index}`;
      const pay = (member: Member) => member.caller.call(task, 'over-http__pay', { id });
      const waiting = await pay(at);
      assert.ok(waiting.kind === 'pending');
      replicas.lead(index < 2 ? at : other);
      assert.ok(await approver.approve(waiting.approval));
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, turn) => pay(turn % 2 === (index & 1) ? other : at)),
      );
      assert.equal(answers.filter(({ kind }) => kind === 'ran').length, 1);
      assert.equal(replicas.seen().filter((each) => each === id).length, 1);
      for (const answer of answers) if (answer.kind === 'pending') await approver.deny(answer.approval);
    }
  });

  // @proves law-1.fences
  await t.test('a policy that was applied at one decides at the other', async () => {
    const apply = (member: Member, cedar: string) => applyTo(member.operator, [{ kind: 'Policy', name: 'now', cedar }]);
    const forbid = (id: string) =>
      `forbid(principal, action == Gatehouse::Action::"over-http/note", resource) when { context.arguments.id == "${id}" };`;
    const stop = work(members, provingTask);
    for (const [at, other, id] of [
      [a, b, 'forbidden-1'],
      [b, a, 'forbidden-2'],
      [a, b, 'forbidden-3'],
    ] as const) {
      await apply(at, forbid(id));
      const tried = await Promise.all(Array.from({ length: 10 }, () => note(other, provingTask, id)));
      assert.ok(tried.every(({ answer }) => answer.kind === 'not-run'));
      assert.ok(!replicas.seen().includes(id));
      await untilPasses(other, provingTask);
    }
    await stop();
  });

  // @proves law-1.fences
  await t.test('a policy that was applied at one decides at the other before that has heard of it', async () => {
    const cedar =
      'forbid(principal, action == Gatehouse::Action::"over-http/note", resource) when { context.arguments.id like "late-*" };';
    for (const member of members) await untilPasses(member, provingTask);
    b.replica.signal('SIGSTOP');
    const waiting = Promise.all(Array.from({ length: 25 }, (_, at) => note(b, provingTask, `late-${at}`)));
    const applied = applyTo(a.operator, [{ kind: 'Policy', name: 'now', cedar }]);
    for (let turn = 0; (await note(a, provingTask, `late-at-a-${turn}`)).answer.kind === 'ran'; turn++) await sleep(20);
    b.replica.signal('SIGCONT');
    const answers = await waiting;
    await applied;
    assert.ok(answers.every(({ answer }) => answer.kind === 'not-run'));
    const ids = new Set(answers.map(({ id }) => id));
    assert.ok(!replicas.seen().some((id) => ids.has(id)));
    await untilPasses(b, provingTask);
  });

  // @proves law-6.replicas
  await t.test(
    'one that is cut off from the database lets nothing pass, and kill says that its lease ran out',
    async () => {
      const task = await bearer.startTask(request);
      for (const member of members) await untilPasses(member, task);
      const stop = work(members, task);
      network.holdBack(true);
      const killed = await kill(a, 'agent-bearer');
      assert.deepEqual(killed, { ...killed, acknowledged: ['a'], expired: ['b'] });
      await assertNonePasses(replicas, members, task);
      await assertNonePasses(replicas, [b], provingTask);
      await stop();
      assert.equal((await note(a, provingTask)).answer.kind, 'ran');
      network.holdBack(false);
      await untilPasses(b, provingTask);
      await assertNonePasses(replicas, members, task);
      await activate(a, 'agent-bearer');
    },
  );

  // @proves law-6.replicas
  await t.test('one that stood still while the agent was killed lets nothing pass when it goes on', async () => {
    const task = await bearer.startTask(request);
    for (const member of members) await untilPasses(member, task);
    b.replica.signal('SIGSTOP');
    // They have arrived before it can hear of the kill.
    const waiting = Promise.all(Array.from({ length: 25 }, () => note(b, task)));
    const killed = await kill(a, 'agent-bearer');
    assert.deepEqual(killed, { ...killed, acknowledged: ['a'], expired: ['b'] });
    b.replica.signal('SIGCONT');
    const answers = await waiting;
    assert.deepEqual(
      answers.filter(({ answer }) => answer.kind === 'ran'),
      [],
    );
    const ids = new Set(answers.map(({ id }) => id));
    assert.ok(!replicas.seen().some((id) => ids.has(id)));
    await untilPasses(b, provingTask);
    await assertNonePasses(replicas, members, task);
    await activate(a, 'agent-bearer');
  });

  // @proves law-6.replicas, law-1.unknown
  await t.test(
    'one that died is not waited for longer than its lease, and what it left is unknown when it is back',
    async () => {
      const task = await bearer.startTask(request);
      for (const member of members) await untilPasses(member, task);
      const stop = work([b], task);
      await sleep(300);
      await Promise.all([b.replica.kill(), stop()]);
      const killed = await kill(a, 'agent-bearer');
      assert.deepEqual(killed, { ...killed, acknowledged: ['a'], expired: ['b'] });
      await b.replica.start();
      await assertNonePasses(replicas, members, task);
      const { items } = await b.operator.call('GET /actions', { query: { task: task.id, limit: 200 } });
      assert.ok(items.length > 0);
      assert.ok(items.every(({ status }) => status !== 'running'));
      for (const { operator } of members)
        for (const log of ['a', 'b']) {
          const id = `${new URL(publicUrl).host}/log/${log}`;
          assert.equal((await operator.call('POST /logs/verify', { body: { log: id } })).problem, null);
        }
      await untilPasses(b, provingTask);
    },
  );

  // @proves unknown.replicas, unknown.not-repeated
  await t.test(
    'what one had sent when it died is not sent again by the other, however often it is retried',
    async () => {
      const task = await proving.startTask(request);
      for (const member of members) await untilPasses(member, task);
      const ids = Array.from({ length: 200 }, (_, index) => `held-${index}`);
      const before = replicas.seen().length;
      const calling = Promise.all(ids.map((id) => note(b, task, id)));
      while (replicas.seen().length < before + 20) await sleep(1);
      await b.replica.kill();
      const lost = (await calling).filter(({ answer }) => answer.kind === 'lost').map(({ id }) => id);
      const sent = new Set(replicas.seen());
      const tried = lost.filter((id) => sent.has(id)).slice(0, 4);
      assert.ok(tried.length > 0, 'the calls that were under way have reached the upstream');
      const retries = tried.flatMap((id) => Array.from({ length: 16 }, () => note(a, task, id)));
      const answers = (await Promise.all(retries)).map(({ answer }) => answer.kind);
      assert.ok(answers.includes('pending') && !answers.includes('ran'), answers.join());
      for (const id of tried) assert.equal(replicas.seen().filter((each) => each === id).length, 1, id);
      const { items } = await a.operator.call('GET /unknown-actions', {
        query: { agent: 'agent-proving', limit: 200 },
      });
      assert.ok(items.length >= tried.length);
      await b.replica.start();
      assert.deepEqual(
        await Promise.all(tried.map(async (id) => inWords((await note(b, task, id)).answer))),
        tried.map(() => 'pending'),
      );
      for (const id of tried) assert.equal(replicas.seen().filter((each) => each === id).length, 1, id);
    },
  );
});
