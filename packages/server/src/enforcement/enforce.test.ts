import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { JsonObject } from '../platform/index.ts';
import { NotSent } from './index.ts';
import { AGENT, openRoom, type Room, served } from './testing/room.ts';

let room: Room;

before(async () => {
  room = await openRoom();
});
after(() => room.close());

async function refused(call: ReturnType<Room['call']>): Promise<string> {
  const outcome = await call;
  assert.equal(outcome.kind, 'refused');
  if (outcome.kind !== 'refused') return '';
  const [record] = await room.recordsOf(outcome.actionId);
  assert.equal(record?.kind, 'request', 'a refusal is on record when the caller hears of it');
  assert.equal(record?.decision?.code, outcome.decision.code);
  assert.ok(!room.sends.includes(outcome.actionId));
  return outcome.decision.code;
}

/** @proves law-1.dispatch-before-send */
test('the dispatch is on record when the tool is reached, and the outcome after it', async () => {
  const outcome = await room.call('get_order', { order: 1042 });
  assert.equal(outcome.kind, 'done');
  assert.deepEqual(room.seen.at(-1), ['dispatch']);
  const [dispatch] = await room.recordsOf(outcome.actionId);
  assert.equal(dispatch?.resource, '1042');
  assert.equal(dispatch?.decision?.effect, 'allow');
  assert.match(dispatch?.arguments_digest ?? '', /^sha256-/);
  while ((await room.recordsOf(outcome.actionId)).length < 2);
  assert.equal((await room.recordsOf(outcome.actionId))[1]?.result, 'success');
});

/** @proves law-1.refusals */
test('who, what, may it, in this order, and each refusal is on record with its code', async () => {
  const { caller } = room;
  const by = (change: Partial<Room['caller']>) => ({ caller: { ...caller, ...change } });
  const get = (change: object, name = 'get_order') => refused(room.call(name, { order: 1 }, change));
  assert.equal(await get(by({ agent: 'agent-nobody' })), 'agent.unknown');
  assert.equal(await get(by({ agentEpoch: caller.agentEpoch + 1 })), 'token.outdated');
  assert.equal(await get(by({ agentEpoch: caller.agentEpoch - 1 })), 'token.outdated', 'from before it was stopped');
  assert.equal(await get(by({ task: { ...caller.task, state: 'killed' } })), 'task.killed');
  assert.equal(await get(by({ expiresAt: room.house.clock.now() })), 'task.expired');
  assert.equal(await get(by({ task: { ...caller.task, environment: 'staging' } })), 'server.unknown');
  assert.equal(await get({ server: 'elsewhere' }), 'server.unknown');
  assert.equal(await get({ operation: 'admin/everything' }), 'operation.unknown');
  assert.equal(await get({ operation: 'constructor' }), 'operation.unknown');
  assert.equal(await get({ operation: 'resources/read' }), 'policy.no-permit');
  assert.equal(await get({ operation: 'sampling/createMessage' }), 'tier.prohibited');
  assert.equal(await get({ operation: 'prompts/get' }), 'prompt.not-approved');
  const completion = {
    operation: 'completion/complete',
    arguments: { ref: { type: 'ref/prompt', name: 'x' } },
    name: 'x',
  };
  assert.equal(await get(completion), 'prompt.not-approved');
  assert.equal(await get({}, 'no_such_tool'), 'tool.unknown');
  assert.equal(await get({}, '#resources'), 'tool.unknown');
  assert.equal(await get({}, '__proto__'), 'tool.unknown');
  assert.equal(await refused(room.call('drop_table', { table: 'orders' })), 'tier.prohibited');
  assert.equal(await get(by({ task: { ...caller.task, template: 'other' } })), 'policy.no-permit');
});

test('a tool that waits for review, or is gone, is refused with what to do', async () => {
  assert.equal(await refused(room.call('not_in_the_manifest', {})), 'tool.held');
  assert.equal(await refused(room.call('not_served', {})), 'tool.missing');
  const changed = served.map((each) =>
    each.name === 'get_order' ? { ...each, body: { ...(each.body as object), description: 'Now with more.' } } : each,
  );
  await room.registry.observeDefinitions('shop', changed, 'gatehouse');
  assert.equal(await refused(room.call('get_order', { order: 1 })), 'tool.held');
  await room.registry.observeDefinitions('shop', changed.slice(1), 'gatehouse');
  assert.equal(await refused(room.call('get_order', { order: 1 })), 'tool.missing');
  await room.registry.observeDefinitions('shop', served, 'gatehouse');
  assert.equal((await room.call('get_order', { order: 1 })).kind, 'done');
});

test('arguments that the approved schema does not name, or that do not fit it, are refused', async () => {
  const misfits: JsonObject[] = [
    { order: 1, dry_run: false },
    { order: '1' },
    { order: 1.5 },
    {},
    { Order: 1 },
    { 'order ': 1 },
  ];
  for (const args of misfits)
    assert.equal(await refused(room.call('get_order', args)), 'arguments.invalid', JSON.stringify(args));
  assert.equal(await refused(room.call('get_order', {}, { arguments: [1] })), 'arguments.invalid');
  assert.equal(await refused(room.call('get_order', {}, { arguments: null })), 'arguments.invalid');
});

test('while the change feed is stale everything is refused', async () => {
  room.setFresh(false);
  assert.equal(await refused(room.call('get_order', { order: 1 })), 'replica.stale');
  room.setFresh(true);
});

test('surely not sent is a failure; anything else that goes wrong is unknown', async () => {
  const not = await room.call('get_order', { order: 2 }, {}, async () => {
    throw new NotSent('no connection');
  });
  assert.equal(not.kind, 'done');
  const lost = await room.call('get_order', { order: 2 }, {}, async () => {
    throw new Error('the socket closed');
  });
  assert.equal(lost.kind, 'unknown');
  const results = async (id: string) => (await room.recordsOf(id)).map(({ result }) => result);
  while ((await results(lost.actionId)).length < 2);
  assert.deepEqual(await results(not.actionId), [null, 'failure']);
  assert.deepEqual(await results(lost.actionId), [null, 'unknown']);
});

test('a text that is cut for the record within a character does not keep the action out of it', async () => {
  const lost = await room.call('get_order', { order: 3 }, {}, async () => {
    throw new Error(`${'x'.repeat(999)}😀`);
  });
  assert.equal(lost.kind, 'unknown');
  while ((await room.recordsOf(lost.actionId)).length < 2);
  assert.match((await room.recordsOf(lost.actionId))[1]?.detail ?? '', /x\ufffd$/);
  assert.equal(await refused(room.call('x'.repeat(294).concat('😀'), {})), 'tool.unknown');
});

test('the same grave action asked many times at once is one question, with one record', async () => {
  const before = (await room.house.records()).length;
  const outcomes = await Promise.all(
    Array.from({ length: 16 }, () => room.call('refund_order', { order: 7, amount_cents: 1 })),
  );
  assert.ok(outcomes.every(({ kind }) => kind === 'pending'));
  assert.equal(new Set(outcomes.map(({ actionId }) => actionId)).size, 1);
  const requests = (await room.house.records()).slice(before).filter(({ kind }) => kind === 'request');
  assert.equal(requests.length, 1);
});

test('an action that nobody will be asked about is refused on record, and does not wait for ever', async () => {
  const outcomes = [];
  for (let cents = 100; cents < 121; cents++)
    outcomes.push(await room.call('refund_order', { order: 8, amount_cents: cents }));
  const last = outcomes.at(-1);
  assert.equal(last?.kind, 'refused');
  if (last?.kind === 'refused') assert.equal(last.decision.code, 'approval.too-many');
  const action = await room.ledger.action(last?.actionId ?? '');
  assert.equal(action?.summary.status, 'refused');
});

test('a stream that comes after the stop of its agent, task or token is ended, one that was let go is not', async () => {
  const { enforcement, caller } = room;
  const attach = (change: Partial<Room['caller']> = {}) =>
    new Promise<string>((resolve) => enforcement.attach({ ...caller, ...change }, resolve));
  assert.match(await attach({ agentEpoch: 0 }), /has changed/);
  assert.match(await attach({ agent: 'agent-gone' }), /gone/);
  assert.match(await attach({ task: { ...caller.task, id: 'tsk_0' } }), /has ended/);
  await room.registry.revokeToken({ id: 'token-2', expiresAt: caller.expiresAt }, 'gatehouse');
  assert.match(await attach({ tokenId: 'token-2' }), /revoked/);

  const ended: string[] = [];
  enforcement.attach({ ...caller, agentEpoch: 0 }, () => ended.push('released'))();
  const release = enforcement.attach(caller, () => ended.push('in good standing'));
  await attach({ agentEpoch: 0 });
  assert.deepEqual(ended, []);
  release();
});

test('a stop reaches its own agent, those who act for it, older epochs and single tokens, and never stops at one that fails', () => {
  const { enforcement, caller } = room;
  const ended: string[] = [];
  const chainOf = (agentEpoch: number) => [{ agent: AGENT, agentEpoch, task: { ...caller.task, id: 'tsk_parent' } }];
  const held = {
    own: caller,
    old: { ...caller, agentEpoch: caller.agentEpoch - 1 },
    child: { ...caller, agent: 'agent-child', chain: chainOf(caller.agentEpoch) },
    oldChild: { ...caller, agent: 'agent-child', chain: chainOf(caller.agentEpoch - 1) },
    other: { ...caller, agent: 'agent-other', tokenId: 'token-3' },
  };
  const releases = Object.entries(held).map(([name, each]) => enforcement.attach(each, () => ended.push(name)));
  const take = () => ended.splice(0).sort();
  enforcement.stop({ agent: AGENT, beforeEpoch: caller.agentEpoch }, 'changed');
  assert.deepEqual(take(), ['old', 'oldChild']);
  enforcement.stop({ task: 'tsk_parent' }, 'ended');
  assert.deepEqual(take(), ['child', 'oldChild']);
  enforcement.stop({ token: 'token-3' }, 'revoked');
  assert.deepEqual(take(), ['other']);
  const broken = enforcement.attach(caller, () => {
    throw new Error('does not end');
  });
  assert.throws(() => enforcement.stop({ agent: AGENT }, 'killed'), AggregateError);
  assert.deepEqual(take(), ['child', 'old', 'oldChild', 'own']);
  for (const release of [...releases, broken]) release();
});
