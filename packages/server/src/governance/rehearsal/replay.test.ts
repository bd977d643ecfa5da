import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ManifestInput, type ReplayResult, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import { AGENT, openRoom, type Room } from '../../enforcement/testing/room.ts';
import { historyPlace, openHistory } from '../../storage/index.ts';
import { createDecider, decidingParts } from './decider.ts';
import { replay } from './replay.ts';

const CHILD = 'agent-child-prod';
const USER = 'user@example.test';
const details = { type: TASK_DETAILS_TYPE, template: 'all', parameters: {}, intent: 'test' } as const;
const agent = { owner: 'owner@example.test', purpose: 'Answers.', environment: 'prod', blueprint: 'support' };

/** On the workspace of now, and with manifests applied and then taken back. */
async function replayed(room: Room, change: ManifestInput[] = [], since = 0): Promise<ReplayResult> {
  const history = await openHistory(historyPlace('sqlite', room.house.dataDir));
  const before = createDecider(decidingParts(room.registry.snapshot()));
  let after = before;
  if (change.length > 0) {
    const { manifest } = await import('@gatehouse/protocol');
    const { snapshot } = await room.registry.rehearse(
      change.map((each) => manifest.parse(each)),
      { prune: false },
    );
    after = createDecider(decidingParts(snapshot));
  }
  const range = { since, until: room.house.clock.now() + 1, limit: 20 };
  try {
    return await replay(history, { before, after }, range, 'example.test', () => 'go on');
  } finally {
    await history.close();
  }
}

/** @proves policy.replay */
test('handed-on tasks, people and narrowed tasks are decided again as they were', async () => {
  const room = await openRoom({ follow: false });
  try {
    await room.house.declare(USER, 'owner');
    await room.apply([
      { kind: 'Agent', name: AGENT, ...agent, delegatesTo: { agents: [CHILD] } },
      { kind: 'Agent', name: CHILD, ...agent },
      { kind: 'Group', name: 'customers', members: [USER], allow: [{ tools: ['shop/get_order'] }] },
    ]);
    const { registry } = room;
    const epoch = (name: string) => registry.snapshot().agents.get(name)?.epoch ?? 0;
    const parent = await registry.startTask(AGENT, details, { user: USER });
    const child = await registry.startTask(CHILD, details, { parent: parent.id });
    const caller = {
      ...room.caller,
      agent: CHILD,
      agentEpoch: epoch(CHILD),
      task: child,
      chain: [{ agent: AGENT, agentEpoch: epoch(AGENT), task: parent }],
    };
    const done = await room.call('get_order', { order: 1 }, { caller });
    assert.equal(done.kind, 'done', JSON.stringify(done));
    // The person may not, although both agents may.
    assert.equal((await room.call('refund_order', { order: 1, amount_cents: 1 }, { caller })).kind, 'refused');
    const narrow = await registry.startTask(AGENT, { ...details, tools: ['shop/refund_order'] });
    const narrowed = { ...room.caller, task: narrow, agentEpoch: epoch(AGENT) };
    assert.equal((await room.call('get_order', { order: 1 }, { caller: narrowed })).kind, 'refused');
    assert.equal((await room.call('nothing_like_it', {})).kind, 'refused');
    assert.equal((await room.call('drop_table', { table: 'orders' })).kind, 'refused');

    const same = await replayed(room);
    assert.equal(same.replayed, 5);
    assert.deepEqual(same.decidedOtherwise, { count: 0, examples: [] });
    assert.equal(same.unchanged, 5);

    // What the person's group gains runs or waits for what acts for them.
    const wider = await replayed(room, [
      { kind: 'Group', name: 'customers', members: [USER], allow: [{ tools: ['shop/*'] }] },
    ]);
    assert.equal(wider.waits.count, 1);
    assert.deepEqual(wider.waits.agents, [{ name: CHILD, count: 1 }]);
    const gone = await replayed(room, [{ kind: 'Group', name: 'customers', members: [], allow: [] }]);
    assert.equal(gone.stops.count, 1);
    assert.match(gone.stops.examples[0]?.after.reason ?? '', /user@example\.test/);
  } finally {
    await room.close();
  }
});

/** @proves policy.replay */
test('what was erased is counted apart, as is what no policy decides; nothing before the time is read', async () => {
  const room = await openRoom({ follow: false });
  try {
    const first = await room.call('get_order', { order: 1 });
    await room.call('get_order', { order: 2 });
    await room.call('get_order', { order: 3 }, { caller: { ...room.caller, agentEpoch: 99 } });
    await room.storage.db
      .updateTable('bodies')
      .set({ body: null, erased_at: 1 })
      .where('action_id', '=', first.actionId)
      .execute();
    const result = await replayed(room);
    assert.equal(result.decisions, 3);
    assert.equal(result.replayed, 1);
    assert.deepEqual(result.cannotReplay, [{ name: 'arguments erased', count: 1 }]);
    assert.deepEqual(result.notPolicy, [{ name: 'token.outdated', count: 1 }]);
    assert.equal((await replayed(room, [], room.house.clock.now() + 1)).decisions, 0);
  } finally {
    await room.close();
  }
});

/** @proves policy.replay */
test('what was known around a call is what it is decided on again', async () => {
  const room = await openRoom({ follow: false });
  const policy = (cedar: string): ManifestInput => ({ kind: 'Policy', name: 'place', cedar });
  const inside =
    'forbid (principal, action, resource) unless { context has address && context.address.isInRange(ip("10.0.0.0/8")) };';
  try {
    await room.apply([policy(inside)]);
    await room.call('get_order', { order: 1 }, { caller: { ...room.caller, address: '10.1.2.3' } });
    await room.call('get_order', { order: 1 }, { caller: { ...room.caller, address: '192.0.2.1' } });
    const same = await replayed(room);
    assert.equal(same.decidedOtherwise.count, 0);
    const elsewhere = await replayed(room, [policy(inside.replace('10.0.0.0', '192.0.0.0'))]);
    assert.equal(elsewhere.stops.count, 1);
    assert.equal(elsewhere.runs.count, 1);
    // A calendar is asked about the time of then.
    const calendar = (name: string, hour: string): ManifestInput => ({
      kind: 'Calendar',
      name,
      zone: 'UTC',
      open: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: `${hour}:00`, to: `${hour}:59` }],
    });
    const of = (ago: number) => new Date(room.house.clock.now() - ago).toISOString().slice(11, 13);
    const within = policy('forbid (principal, action, resource) unless { context.calendars.contains("open") };');
    const closed = [calendar('open', of(5 * 3_600_000)), within];
    const result = await replayed(room, closed);
    assert.equal(result.stops.count, 1);
  } finally {
    await room.close();
  }
});
