import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Approval } from '@gatehouse/protocol';
import type { Caller } from '../../../identity/index.ts';
import { onEachDatabase } from '../../../identity/people/testing/databases.ts';
import { type House, openHouse } from '../../../identity/people/testing/house.ts';
import { doorLimits } from '../limits.ts';
import { taskOf } from '../testing/world.ts';
import { createWaitingRows } from './rows.ts';
import type { WaitingRows, Whose } from './types.ts';

onEachDatabase('MCP tasks that wait', (database) => {
  let house: House;
  let rows: WaitingRows;
  /** Another replica. */
  let others: WaitingRows;
  before(async () => {
    house = await openHouse({ database: await database() });
    rows = createWaitingRows(house);
    others = createWaitingRows(house);
  });
  after(() => house.close());

  let count = 0;
  const whose = (change: Partial<Caller> = {}, more: Partial<Whose> = {}): Whose => ({
    caller: { agent: 'agent', agentEpoch: 1, task: taskOf('agent', 'tsk_1'), ...change } as Caller,
    view: 'shop',
    era: '2025-11-25',
    ...more,
  });
  const call = { method: 'tools/call', server: 'shop', name: 'pay', arguments: { secret: 'canary' }, params: {} };
  const asked = (id = `apr_${++count}`): Approval =>
    ({ id, actionId: 'act_1', expiresAt: house.clock.now() + 1_000 }) as Approval;
  const open = (by = rows, of = whose(), approval: Approval | null = asked()) =>
    by.open(of, { call, approval, actionId: 'act_1', ttlMs: 60_000 });

  /** @proves waiting.mcp-task */
  test('one question is one task at all replicas, and ends once', async () => {
    const approval = asked();
    const made = await Promise.all(
      Array.from({ length: 12 }, (_, at) => open(at % 2 ? rows : others, whose(), approval)),
    );
    const [id = '', ...more] = new Set(made.map((task) => task.id));
    assert.deepEqual(more, []);
    const answers = ['one', 'other'].map((text) => ({ result: { text } }));
    const ended = await Promise.all(
      answers.map((answer, at) => (at ? rows : others).end(id, at ? 'cancelled' : 'done', answer)),
    );
    assert.equal(ended.filter((won) => won).length, 1);
    const task = await rows.find(whose(), id);
    assert.deepEqual(task?.answer, answers[ended.findIndex(Boolean)]);
    assert.notEqual((await open(rows, whose(), approval)).id, id, 'one that has ended is not taken up again');
  });

  /** @proves waiting.mcp-task-own */
  test('belongs to its agent, epoch, task, address and revision, also for whoever writes to the database', async () => {
    const { id } = await open();
    assert.ok(await others.find(whose(), id));
    const strangers = [
      whose({ agent: 'other' }),
      whose({ agentEpoch: 2 }),
      whose({ task: taskOf('agent', 'tsk_2') }),
      whose({}, { view: null }),
      whose({}, { era: '2026-07-28' }),
    ];
    for (const stranger of strangers) assert.equal(await rows.find(stranger, id), undefined);
    assert.deepEqual(await rows.list(whose({ task: taskOf('agent', 'tsk_2') })), []);
    await house.storage.db.updateTable('waiting_tasks').set({ task: 'tsk_2' }).where('id', '=', id).execute();
    await assert.rejects(rows.find(whose({ task: taskOf('agent', 'tsk_2') }), id), { code: 'sealer.unreadable' });
    await house.storage.db.deleteFrom('waiting_tasks').where('id', '=', id).execute();
  });

  test('neither what is called nor what came of it can be read in the database', async () => {
    const { id } = await open();
    await rows.end(id, 'done', { result: { text: 'canary' } });
    const stored = await house.storage.db.selectFrom('waiting_tasks').selectAll().where('id', '=', id).execute();
    const bytes = stored.map((row) =>
      Buffer.concat([Buffer.from(row.sealed), Buffer.from(row.answer ?? [])]).toString('latin1'),
    );
    assert.doesNotMatch(bytes.join() + JSON.stringify({ ...stored[0], sealed: '', answer: '' }), /canary/);
  });

  test('a task of Gatehouse has so many of them, and each is forgotten in time', async () => {
    const busy = whose({ task: taskOf('agent', 'tsk_busy') });
    for (let at = 0; at < doorLimits.waitingTasksPerTask; at++) await open(rows, busy, null);
    await assert.rejects(open(rows, busy, null), { code: 'task.too-many-waiting' });
    await open(others);
    house.pass(60_001);
    await rows.sweep();
    assert.deepEqual(await rows.list(busy), []);
    await open(rows, busy, null);
  });
});
