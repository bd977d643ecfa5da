import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Breaker, breaker, type Decision, TASK_DETAILS_TYPE, type Task } from '@gatehouse/protocol';
import type { JsonObject, Log } from '../platform/index.ts';
import { createRegistry } from '../registry/index.ts';
import { createBreaker } from './breaker.ts';
import { AGENT, openRoom, type Room } from './testing/room.ts';

/** The room with these thresholds in its environment. */
async function openWith(settings: Partial<Breaker>, follow = true): Promise<Room> {
  const room = await openRoom({ follow });
  await room.apply([{ kind: 'Environment', name: 'prod', production: true, breaker: breaker.parse(settings) }]);
  return room;
}

async function stored(room: Room, until: (task: Task | undefined) => boolean, id = room.task.id): Promise<Task> {
  for (let attempt = 0; attempt < 3_000; attempt++) {
    const task = await room.registry.task(id);
    if (until(task)) return task as Task;
    await setTimeout(10);
  }
  throw new Error('the task is never as it should be');
}
const isSuspended = (task: Task | undefined) => Boolean(task?.suspended);

async function codeOf(room: Room, task: Task, name = 'get_order') {
  const args: JsonObject = name === 'drop_table' ? { table: 'orders' } : { order: 1 };
  const outcome = await room.call(name, args, { caller: { ...room.caller, task } });
  return outcome.kind === 'refused' ? outcome.decision.code : outcome.kind;
}

/** @proves breaker.refusals */
test('a task that is refused again and again is suspended, says so, and goes on when a person lets it', async () => {
  const room = await openWith({ refusals: { count: 3, seconds: 60 } });
  try {
    for (let at = 0; at < 4; at++) assert.equal(await codeOf(room, room.task, 'unheard_of'), 'tool.unknown');
    // At once on this replica, whatever the database needs.
    assert.equal(await codeOf(room, room.task), 'task.suspended');
    const task = await stored(room, isSuspended);
    assert.equal(task.state, 'active');
    assert.equal(task.suspended?.by, 'gatehouse');
    const refused = await room.call('get_order', { order: 1 }, { caller: { ...room.caller, task } });
    assert.ok(refused.kind === 'refused');
    assert.match(refused.decision.reason, /more than 3 refused actions within 60 s/);
    assert.match(refused.decision.reason, /owner@example\.test/);
    const record = (await room.house.records()).find(({ operation }) => operation === 'task.suspend');
    assert.deepEqual([record?.task, record?.agent], [room.task.id, AGENT]);
    const resumed = await room.registry.resumeTask(room.task.id, 'person:owner@example.test');
    assert.equal(resumed.suspended, null);
    assert.equal(await codeOf(room, resumed), 'done');
    assert.equal(room.sends.length, 1);
  } finally {
    await room.close();
  }
});

/** @proves breaker.grave */
test('attempts at what is prohibited count apart, and reads go on below the limit', async () => {
  const room = await openWith({ grave: { count: 2, seconds: 60 } });
  try {
    for (let at = 0; at < 2; at++) assert.equal(await codeOf(room, room.task, 'drop_table'), 'tier.prohibited');
    assert.equal(await codeOf(room, room.task), 'done');
    assert.equal(await codeOf(room, room.task, 'drop_table'), 'tier.prohibited');
    assert.equal(await codeOf(room, room.task), 'task.suspended');
    assert.match((await stored(room, isSuspended)).suspended?.reason ?? '', /attempts at what is grave/);
  } finally {
    await room.close();
  }
});

/** @proves breaker.burst */
test('a burst of actions suspends, the same number over a longer time does not', async () => {
  const room = await openWith({ burst: { count: 5, seconds: 10 } }, false);
  try {
    for (let at = 0; at < 20; at++) {
      assert.equal(await codeOf(room, room.task), 'done', `call ${at}`);
      room.house.pass(4_000);
    }
    room.house.pass(60_000);
    for (let at = 0; at < 6; at++) assert.equal(await codeOf(room, room.task), 'done');
    assert.equal(await codeOf(room, room.task), 'task.suspended');
    await stored(room, isSuspended);
  } finally {
    await room.close();
  }
});

/** @proves breaker.agent */
test('an agent whose tasks are suspended again and again is suspended, and not for what was long ago', async () => {
  const room = await openWith({ refusals: { count: 1, seconds: 60 }, tasks: { count: 2, seconds: 3_600 } }, false);
  try {
    const trip = async () => {
      const task = await room.registry.startTask(AGENT, {
        type: TASK_DETAILS_TYPE,
        template: 'all',
        parameters: {},
        intent: 'again',
      });
      const caller = { ...room.caller, task, expiresAt: task.expiresAt };
      for (let at = 0; at < 2; at++) await room.call('unheard_of', {}, { caller });
      await stored(room, isSuspended, task.id);
      return room.registry.snapshot().agents.get(AGENT)?.state;
    };
    assert.equal(await trip(), 'active');
    room.house.pass(3_600_001);
    assert.equal(await trip(), 'active');
    await trip();
    for (let attempt = 0; room.registry.snapshot().agents.get(AGENT)?.state === 'active' && attempt < 3_000; attempt++)
      await setTimeout(10);
    assert.equal(room.registry.snapshot().agents.get(AGENT)?.state, 'suspended');
    const record = (await room.house.records()).find(({ operation }) => operation === 'agent.suspend');
    assert.equal(record?.agent, AGENT);
  } finally {
    await room.close();
  }
});

test('what is switched off never trips', async () => {
  const room = await openWith({ refusals: 'off', grave: 'off', burst: 'off' });
  try {
    for (let at = 0; at < 120; at++) assert.equal(await codeOf(room, room.task, 'unheard_of'), 'tool.unknown');
    assert.equal(await codeOf(room, room.task), 'done');
  } finally {
    await room.close();
  }
});

/** @proves breaker.fence */
test('a suspension on another replica: what was decided before it is not sent, nor after it was let go on again', async () => {
  const room = await openRoom({ follow: false });
  try {
    const { storage, clock, log, recordChange } = room.house;
    const other = await createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log });
    await other.suspendTask(room.task.id, 'person:owner@example.test', 'looks odd');
    assert.equal(await codeOf(room, room.task), 'replica.stale');
    await other.resumeTask(room.task.id, 'person:owner@example.test');
    assert.equal(await codeOf(room, room.task), 'replica.stale', 'decided before the suspension');
    await room.registry.refresh([]);
    assert.equal(await codeOf(room, room.task), 'replica.stale', 'with the task as it was before');
    assert.deepEqual(room.sends, []);
    assert.equal(await codeOf(room, (await other.task(room.task.id)) as Task), 'done');
  } finally {
    await room.close();
  }
});

test('a suspended task hands nothing on, and what it handed on before stops with it', async () => {
  const room = await openRoom();
  try {
    const child = { ...room.task, id: 'tsk_child', parent: room.task.id };
    const { task } = await room.registry.suspendTask(room.task.id, 'person:owner@example.test', 'looks odd');
    const link = { agent: AGENT, agentEpoch: room.caller.agentEpoch, task };
    const outcome = await room.call(
      'get_order',
      { order: 1 },
      { caller: { ...room.caller, task: child, chain: [link] } },
    );
    assert.ok(outcome.kind === 'refused');
    assert.equal(outcome.decision.code, 'task.suspended');
    await assert.rejects(
      room.registry.startTask(AGENT, { type: TASK_DETAILS_TYPE, template: 'all', parameters: {}, intent: 'x' }, {
        parent: room.task.id,
      } as never),
      { code: 'task.suspended' },
    );
    await assert.rejects(room.registry.suspendTask('tsk_none', 'gatehouse', 'x'), { code: 'task.unknown' });
    await room.registry.endTask(room.task.id, 'gatehouse');
    await assert.rejects(room.registry.resumeTask(room.task.id, 'gatehouse'), { code: 'task.over' });
  } finally {
    await room.close();
  }
});

/** @proves breaker.refusals */
test('refusals for what the task cannot help (its token, its agent, a replica that is behind), or that a budget has stopped already, are not counted', async () => {
  const counting = createBreaker({
    registry: { suspendTask: () => Promise.reject(new Error('nothing is suspended')) },
    clock: { now: () => 1 },
    log: { warn: () => undefined, error: () => undefined } as unknown as Log,
  });
  const task = { id: 'tsk_1', agent: AGENT, environment: 'prod' } as Task;
  const refusal = (code: string): Decision => ({
    effect: 'deny',
    tier: 4,
    code,
    reason: '',
    policies: [],
    policyVersion: '1',
  });
  for (let at = 0; at < 200; at++)
    for (const code of [
      'token.revoked',
      'agent.suspended',
      'task.over',
      'replica.stale',
      'delegation.over',
      'budget.exceeded',
    ])
      counting.refused({ environments: new Map() }, task, refusal(code), null);
  assert.equal(counting.isTripped(task), false);
});
