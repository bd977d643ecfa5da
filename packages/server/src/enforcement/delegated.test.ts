import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ManifestInput, TASK_DETAILS_TYPE, type Task } from '@gatehouse/protocol';
import type { Caller } from '../identity/index.ts';
import { createRegistry, type Registry } from '../registry/index.ts';
import { AGENT, openRoom, type Room } from './testing/room.ts';

const CHILD = 'agent-child-prod';
const USER = 'user@example.test';
const details = { type: TASK_DETAILS_TYPE, template: 'all', parameters: {}, intent: 'test' } as const;
const agent = { owner: 'owner@example.test', purpose: 'Answers.', environment: 'prod', blueprint: 'support' };
const group: ManifestInput = { kind: 'Group', name: 'customers', members: [USER], allow: [{ tools: ['shop/*'] }] };

/** A room in which one agent acts for a user and has handed its task on to another. */
async function openDelegated(options: Parameters<typeof openRoom>[0] = {}) {
  const room = await openRoom(options);
  await room.house.declare(USER, 'owner');
  await room.apply([
    { kind: 'Agent', name: AGENT, ...agent, delegatesTo: { agents: [CHILD] } },
    { kind: 'Agent', name: CHILD, ...agent },
    group,
  ]);
  const { registry } = room;
  const parent = await registry.startTask(AGENT, details, { user: USER });
  const child = await registry.startTask(CHILD, details, { parent: parent.id });
  const epoch = (name: string) => registry.snapshot().agents.get(name)?.epoch ?? 0;
  const caller = (task: Task = child, above: Task = parent): Caller => ({
    ...room.caller,
    agent: CHILD,
    agentEpoch: epoch(CHILD),
    task,
    actorChain: [{ sub: CHILD, profile: 'ai_agent' }, ...task.actors, { sub: `person:${USER}`, profile: 'user' }],
    chain: [{ agent: AGENT, agentEpoch: epoch(AGENT), task: above }],
  });
  return { room, parent, child, caller };
}

/** What may happen to somebody on whose authority a task acts, and how the call is refused once it is known. */
const changes: Record<string, { code: string; make(other: Registry, room: Room, parent: Task): Promise<unknown> }> = {
  'the agent that handed it on is killed': {
    code: 'agent.killed',
    make: (other) => other.setAgentState(AGENT, 'suspended', 'gatehouse', { killed: true }),
  },
  'the agent that handed it on is suspended': {
    code: 'agent.suspended',
    make: (other) => other.setAgentState(AGENT, 'suspended', 'gatehouse'),
  },
  'the agent may not hand on to it any more': {
    code: 'delegation.not-allowed',
    make: async (other) => {
      const all = await other.exportManifests();
      const before = all.find((each) => each.kind === 'Agent' && each.name === AGENT) as object;
      return other.apply([{ ...before, delegatesTo: { agents: [], blueprints: [] } } as never], {
        prune: false,
        by: 'gatehouse',
      });
    },
  },
  'the person leaves the group': {
    code: 'delegation.user',
    make: (other) => other.apply([{ ...group, members: [] } as never], { prune: false, by: 'gatehouse' }),
  },
  'the group is permitted less': {
    code: 'delegation.user',
    make: (other) =>
      other.apply([{ ...group, allow: [{ tools: ['shop/refund_order'] }] } as never], {
        prune: false,
        by: 'gatehouse',
      }),
  },
};

/** @proves law-5.fences */
for (const [name, { code, make }] of Object.entries(changes)) {
  test(`a delegated call is not sent on a decision from before ${name}; refused once it is known`, async () => {
    const { room, caller, parent } = await openDelegated({ follow: false });
    try {
      const { storage, clock, log, recordChange } = room.house;
      const from = caller();
      assert.equal((await room.call('get_order', { order: 1 }, { caller: from })).kind, 'done');
      room.sends.length = 0;
      const other = await createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log });
      await make(other, room, parent);
      const stale = await room.call('get_order', { order: 1 }, { caller: from });
      assert.equal(stale.kind === 'refused' && stale.decision.code, 'replica.stale');
      await room.registry.refresh([]);
      const known = await room.call('get_order', { order: 1 }, { caller: from });
      assert.equal(known.kind === 'refused' && known.decision.code, code, JSON.stringify(known));
      assert.deepEqual(room.sends, []);
    } finally {
      await room.close();
    }
  });
}

/** @proves law-5.fences */
test('a parent task that ended elsewhere: no dispatch for what was handed on, although all agents and tokens are good', async () => {
  const { room, caller, parent } = await openDelegated({ follow: false });
  const { storage, clock, log, recordChange } = room.house;
  const other = await createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log });
  const from = caller();
  await other.endTask(parent.id, 'gatehouse');
  assert.equal((await room.call('get_order', { order: 1 }, { caller: from })).kind, 'refused');
  assert.deepEqual(room.sends, []);
  await room.close();
});

/** @proves law-5.fences */
test('a parent task that is over, or whose time is, says so to what was handed on from it', async () => {
  const { room, parent, child, caller } = await openDelegated();
  for (const change of [{ state: 'ended' as const }, { expiresAt: room.house.clock.now() }]) {
    const outcome = await room.call('get_order', { order: 1 }, { caller: caller(child, { ...parent, ...change }) });
    assert.equal(outcome.kind === 'refused' && outcome.decision.code, 'task.over');
  }
  assert.deepEqual(room.sends, []);
  await room.close();
});

test('the record of a delegated call names everybody on whose authority it was done', async () => {
  const { room, caller } = await openDelegated();
  const { actionId } = await room.call('get_order', { order: 1 }, { caller: caller() });
  const [record] = await room.recordsOf(actionId);
  assert.deepEqual(
    record?.actor_chain.map(({ sub }) => sub),
    [CHILD, `spiffe://example.test/env/prod/agent/${AGENT}`, `person:${USER}`],
  );
  assert.equal(record.on_behalf_of, null, 'what was declared stays apart from what was proven');
  await room.close();
});

/** @proves law-5.declared */
test('a declared on_behalf_of adds nobody’s permissions', async () => {
  const room = await openRoom();
  await room.house.declare(USER, 'owner');
  await room.apply([
    { kind: 'Template', name: 'none', allow: [] },
    { kind: 'Blueprint', name: 'support', templates: ['all', 'none'] },
    group,
  ]);
  const task = await room.registry.startTask(AGENT, { ...details, template: 'none', on_behalf_of: USER });
  assert.equal(task.user, null);
  const outcome = await room.call('get_order', { order: 1 }, { caller: { ...room.caller, task } });
  assert.equal(outcome.kind === 'refused' && outcome.decision.code, 'policy.no-permit');
  await room.close();
});

/** @proves law-5.approval */
test('a yes for one chain, person or narrowing is no yes for another, and the person whom it is for cannot give it', async () => {
  const { room, caller, parent, child } = await openDelegated();
  const { registry, approvals } = room;
  const refund = { order: 1, amount_cents: 100 };
  const first = await room.call('refund_order', refund, { caller: caller() });
  assert.ok(first.kind === 'pending');
  assert.deepEqual(first.approval.delegated, {
    user: USER,
    chain: [{ agent: AGENT, agentEpoch: caller().chain[0]?.agentEpoch, task: parent.id }],
    narrowing: [],
  });
  const same = await room.call('refund_order', refund, { caller: caller() });
  assert.equal(same.kind === 'pending' && same.approval.id, first.approval.id);

  const narrowed = { ...child, narrowing: { tools: ['shop/*'] } };
  const otherParent = { ...parent, id: 'tsk_other' };
  const others: Caller[] = [
    caller(narrowed),
    caller({ ...child, parent: otherParent.id }, otherParent),
    {
      ...caller(),
      chain: [{ ...(caller().chain[0] as Caller['chain'][number]), task: { ...parent, user: null } }],
      task: { ...child, user: null },
    },
  ];
  for (const from of others) {
    const other = await room.call('refund_order', refund, { caller: from });
    assert.ok(other.kind === 'pending');
    assert.notEqual(other.approval.digest, first.approval.digest);
  }
  await room.house.declare(USER, 'owner', 'approver');
  await registry.refresh([]);
  await assert.rejects(approvals.approvalOptions(first.approval.id, USER), { code: 'approval.requester' });
  await room.close();
});
