import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { Caller } from '../identity/index.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import type { JsonObject } from '../platform/index.ts';
import { type Action, createBudgets, createOpenCalls, type Outcome, type Sent } from './index.ts';
import { OWNER, openReadingRoom, type ReadingRoom } from './testing/reading-room.ts';

type Gate = Awaited<ReturnType<ReadingRoom['openGate']>>;

const ok: Sent = { result: 'success', body: { content: [] } };
const lost = async (): Promise<Sent> => {
  throw new Error('the connection was lost');
};

onEachDatabase('calls of which nobody knows what came of them', (database) => {
  let room: ReadingRoom;
  let gate: Gate;
  let sent = 0;
  let openCalls: ReturnType<typeof createOpenCalls>;
  before(async () => {
    room = await openReadingRoom({ database: await database() });
    gate = await room.openGate();
    openCalls = createOpenCalls({ ...room.house, key: new Uint8Array(32) });
  });
  after(() => room.close());

  function call(caller: Caller, name: string, args: JsonObject, send = async () => ok, at = gate): Promise<Outcome> {
    const action: Action = { caller, operation: 'tools/call', server: 'desk', name, arguments: args };
    return at.enforcement.enforce(action, () => {
      sent++;
      return send();
    });
  }

  const setting = async (name: string, change: JsonObject) => {
    const desk = (await room.house.registry.exportManifests()).find(({ kind }) => kind === 'ToolServer');
    const { tools, ...server } = desk as Extract<ManifestInput, { kind: 'ToolServer' }>;
    const before = tools?.[name];
    assert.ok(before);
    await room.apply([{ ...server, tools: { ...tools, [name]: { ...before, ...change } as typeof before } }]);
  };

  async function approve(outcome: Outcome): Promise<void> {
    assert.ok(outcome.kind === 'pending');
    const sign = await room.approver();
    const { id } = outcome.approval;
    await gate.approvals.approve(id, OWNER, sign(await gate.approvals.approvalOptions(id, OWNER)));
  }

  /** What a call left behind whose answer was lost. */
  async function lose(caller: Caller, name: string, args: JsonObject): Promise<string> {
    const outcome = await call(caller, name, args, lost);
    assert.equal(outcome.kind, 'unknown');
    return outcome.actionId;
  }

  // @proves unknown.not-repeated
  test('a call whose outcome nobody knows is not sent again: a person is asked, who is shown it', async () => {
    const caller = await room.start('tell everybody');
    const first = await lose(caller, 'broadcast', { text: 'one' });
    sent = 0;
    const again = await call(caller, 'broadcast', { text: 'one' });
    assert.ok(again.kind === 'pending');
    assert.equal(again.approval.repeats, first);
    assert.equal(again.approval.decision.code, 'action.may-have-run');
    assert.match(again.approval.decision.reason, new RegExp(`${first}.*the connection was lost`));
    // Nor in another task, by another replica, or with its arguments in another order.
    const anew = await call(
      await room.start('tell everybody'),
      'broadcast',
      { text: 'one' },
      undefined,
      await room.openGate(),
    );
    assert.equal(anew.kind, 'pending');
    assert.equal(sent, 0);
    // Another call is another call, and another agent's is its own.
    assert.equal((await call(caller, 'broadcast', { text: 'two' })).kind, 'done');
    assert.equal((await call(await room.start('x', { by: 'agent-two' }), 'broadcast', { text: 'one' })).kind, 'done');
    await approve(again);
    assert.equal((await call(caller, 'broadcast', { text: 'one' })).kind, 'done');
    assert.equal(sent, 3);
    assert.equal((await call(caller, 'broadcast', { text: 'one' })).kind, 'pending', 'one yes is for one repetition');
  });

  // @proves unknown.not-repeated
  test('what only reads runs again, and what is known to have failed does', async () => {
    const caller = await room.start('read');
    await lose(caller, 'read_mail', {});
    assert.equal((await call(caller, 'plain', { to: 'a' })).kind, 'done');
    assert.equal((await call(caller, 'read_mail', {})).kind, 'done');
    const failed = await call(caller, 'broadcast', { text: 'failed' }, async () => ({ ...ok, result: 'failure' }));
    assert.equal(failed.kind, 'done');
    assert.equal((await call(caller, 'broadcast', { text: 'failed' })).kind, 'done');
  });

  // @proves unknown.yes-binds
  test('a yes that was given before the first call was lost is no yes to do it again', async () => {
    await setting('broadcast', { tier: 3 });
    const caller = await room.start('ask twice');
    await approve(await call(caller, 'broadcast', { text: 'bound' }));
    let lose = (_: Error) => {};
    const running = call(caller, 'broadcast', { text: 'bound' }, () => new Promise((_, reject) => (lose = reject)));
    while ((await gate.approvals.list({ state: 'consumed', task: caller.task.id, limit: 1 })).length === 0);
    await approve(await call(caller, 'broadcast', { text: 'bound' }));
    lose(new Error('lost'));
    const first = await running;
    sent = 0;
    const again = await call(caller, 'broadcast', { text: 'bound' });
    assert.ok(again.kind === 'pending');
    assert.equal(again.approval.repeats, first.actionId);
    assert.equal(sent, 0);
    await setting('broadcast', { tier: 2 });
  });

  // @proves unknown.yes-binds
  test('who has granted more calls like one has not granted to do one again that may have run', async () => {
    await setting('broadcast', { tier: 3 });
    const allow = [{ tools: ['desk/broadcast'], grantable: { calls: 5, seconds: 600 } }];
    await room.apply([
      { kind: 'Template', name: 'granted', allow },
      { kind: 'Blueprint', name: 'desk', templates: ['all', 'to-the-team', 'granted'] },
    ]);
    const caller = await room.start('granted', { by: 'agent-three', template: 'granted' });
    const shout = (text: string, send = async () => ok) => call(caller, 'broadcast', { text }, send);
    const first = await shout('one');
    assert.ok(first.kind === 'pending');
    const { id } = first.approval;
    const { options, terms } = await gate.approvals.grantOptions(id, OWNER, { calls: 4, seconds: 600, bounds: [] });
    await gate.approvals.approve(id, OWNER, (await room.approver())(options), [], terms);
    await gate.approvals.refresh([{ sequence: 1, topic: 'approval', key: `grn_${id.slice(4)}`, at: 0 }]);
    assert.equal((await shout('one')).kind, 'done');
    assert.equal((await shout('one', lost)).kind, 'unknown', 'the grant covers it');
    const again = await shout('one');
    assert.ok(again.kind === 'pending' && again.approval.repeats !== undefined);
    await setting('broadcast', { tier: 2 });
  });

  // @proves unknown.operator-says
  test('it runs again by itself only where the operator says that twice is once, or its own key says so', async () => {
    const caller = await room.start('twice is once');
    const first = await lose(caller, 'new_file', { text: 'idempotent' });
    await setting('new_file', { idempotent: true });
    const again = await call(caller, 'new_file', { text: 'idempotent' });
    assert.equal(again.kind, 'done');
    const [dispatch] = (await room.house.records()).filter(
      ({ action_id, kind }) => action_id === again.actionId && kind === 'dispatch',
    );
    assert.match(dispatch?.detail ?? '', new RegExp(`repeats ${first}`));

    await setting('move_event', { idempotencyArgument: 'why' });
    const mover = await room.startVouched('move event-7 to 09:00');
    const at = { id: 'event-7', start: '09:00' };
    await lose(mover, 'move_event', { ...at, why: 'key-1' });
    assert.equal(
      (await call(mover, 'move_event', { ...at, why: 'key-2' })).kind,
      'pending',
      'another key, another call',
    );
    assert.equal((await call(mover, 'move_event', at)).kind, 'pending', 'none is no key');
    assert.equal((await call(mover, 'move_event', { ...at, why: 'key-1' })).kind, 'done');
  });

  // @proves unknown.resolved
  test('a person says what came of it, once; what happened is not done again in that task without a person', async () => {
    const caller = await room.start('resolve');
    const action = await lose(caller, 'broadcast', { text: 'resolved' });
    assert.ok((await openCalls.list({ limit: 200 })).some(({ actionId }) => actionId === action));
    const said = { what: 'happened', note: 'It is in the channel.', reference: 'msg-17' } as const;
    await openCalls.resolve(action, said, `person:${OWNER}`);
    assert.ok(!(await openCalls.list({ limit: 200 })).some(({ actionId }) => actionId === action));
    const { summary, records } = (await room.house.ledger.action(action)) ?? {};
    assert.equal(summary?.status, 'unknown');
    assert.deepEqual({ ...summary?.resolution, at: '' }, { ...said, by: `person:${OWNER}`, at: '' });
    assert.equal(records?.at(-1)?.record.operation, 'action.resolve');
    await assert.rejects(openCalls.resolve(action, said, 'operator'), { code: 'action.resolved' });
    const again = await call(caller, 'broadcast', { text: 'resolved' });
    assert.ok(again.kind === 'pending');
    assert.match(again.approval.decision.reason, /has happened, says person:.*It is in the channel/);
    assert.equal((await call(await room.start('later'), 'broadcast', { text: 'resolved' })).kind, 'done');

    const other = await lose(caller, 'broadcast', { text: 'not' });
    await openCalls.resolve(other, { what: 'not-happened', note: 'Looked.' }, `person:${OWNER}`);
    assert.equal((await call(caller, 'broadcast', { text: 'not' })).kind, 'done');
    const fine = await call(caller, 'broadcast', { text: 'fine' });
    await assert.rejects(openCalls.resolve(fine.actionId, said, 'operator'), { code: 'action.known' });
    await assert.rejects(openCalls.resolve('act_none', said, 'operator'), { code: 'action.unknown' });
  });

  // @proves unknown.budget
  test('it counts on budgets until a person says that it never happened', async () => {
    const budget = { tools: ['desk/broadcast'], limit: { count: 2 }, per: [], window: { seconds: 3_600 } };
    await room.apply([{ kind: 'Budget', name: 'shouts', ...budget } as ManifestInput]);
    const shown = createBudgets(room.house);
    const used = async () => (await shown.show('shouts', { limit: 1 })).items[0]?.used[0]?.used;
    const caller = await room.start('shout');
    const first = await lose(caller, 'broadcast', { text: 'budget 1' });
    const second = await lose(caller, 'broadcast', { text: 'budget 2' });
    assert.equal(await used(), '2');
    await openCalls.resolve(first, { what: 'cannot-be-known', note: 'No trace.' }, 'operator');
    assert.equal(await used(), '2');
    await openCalls.resolve(second, { what: 'not-happened', note: 'No trace, and they log all.' }, 'operator');
    assert.equal(await used(), '1');
  });
});
