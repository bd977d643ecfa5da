import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { createRegistry, type Registry } from '../registry/index.ts';
import { AGENT, openRoom, type Room, served } from './testing/room.ts';

/** What another replica may change between a decision here and its dispatch, and what the call is refused with once it is known. */
const changes: Record<string, { code: string; make(other: Registry, room: Room): Promise<unknown> }> = {
  'the agent is killed': {
    code: 'agent.killed',
    make: (other) => other.setAgentState(AGENT, 'suspended', 'gatehouse', { killed: true }),
  },
  'the agent is suspended': {
    code: 'agent.suspended',
    make: (other) => other.setAgentState(AGENT, 'suspended', 'gatehouse'),
  },
  'the token is revoked': {
    code: 'token.revoked',
    make: (other, { caller }) => other.revokeToken({ id: caller.tokenId, expiresAt: caller.expiresAt }, 'gatehouse'),
  },
  'a policy forbids it': {
    code: 'policy.forbidden',
    make: (other) =>
      other.apply([{ kind: 'Policy', name: 'no', cedar: 'forbid(principal, action, resource);' }], {
        prune: false,
        by: 'gatehouse',
      }),
  },
  'the definition of the tool changes': {
    code: 'tool.held',
    make: (other) =>
      other.observeDefinitions(
        'shop',
        served.map((each) => ({ ...each, body: { ...(each.body as object), description: 'Other.' } })),
        'gatehouse',
      ),
  },
  'the tool becomes prohibited': {
    code: 'tier.prohibited',
    make: async (other) => {
      const shop = (await other.exportManifests()).find(({ kind }) => kind === 'ToolServer') as object;
      const stricter = manifest.parse({ ...shop, tools: { get_order: { tier: 4, effects: ['read'] } } });
      return other.apply([stricter], { prune: false, by: 'gatehouse', served: new Map([['shop', served]]) });
    },
  },
  'the server leaves the environment': {
    code: 'server.unknown',
    make: async (other) => {
      const shop = (await other.exportManifests()).find(({ kind }) => kind === 'ToolServer') as object;
      const moved = manifest.parse({ ...shop, environments: ['staging'] });
      return other.apply([moved], { prune: false, by: 'gatehouse', served: new Map([['shop', served]]) });
    },
  },
};

/** @proves law-1.fences */
for (const [name, { code, make }] of Object.entries(changes)) {
  test(`not sent on a decision from before ${name}; decided again once it is known`, async () => {
    const room = await openRoom({ follow: false });
    try {
      const { storage, clock, log, recordChange } = room.house;
      const other = await createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log });
      await make(other, room);
      const stale = await room.call('get_order', { order: 1 });
      assert.equal(stale.kind === 'refused' && stale.decision.code, 'replica.stale');
      assert.deepEqual(
        (await room.recordsOf(stale.actionId)).map(({ kind }) => kind),
        ['request'],
      );
      await room.registry.refresh([]);
      const known = await room.call('get_order', { order: 1 });
      assert.equal(known.kind === 'refused' && known.decision.code, code);
      assert.deepEqual(room.sends, []);
    } finally {
      await room.close();
    }
  });
}

/** @proves waiting.mcp-task-fenced */
test('what its door wants to stand is checked by the dispatch: nothing is sent once it does not', async () => {
  const room = await openRoom({ follow: false });
  const { storage } = room.house;
  const asked: string[] = [];
  let fence = 0;
  const stands = async (actionId: string) => {
    asked.push(actionId);
    // Somebody ends it between the answer and the dispatch, at the first time.
    if (asked.length === 1)
      fence = await storage.transaction((transaction) => storage.bumpFence(transaction, 'waiting:1'));
    return asked.length === 1 ? [{ key: 'waiting:1', version: 0 }] : undefined;
  };
  const ended = await room.call('get_order', { order: 1 }, { stands });
  assert.deepEqual([ended.kind, fence, room.sends, await room.recordsOf(ended.actionId)], ['gone', 1, [], []]);
  assert.deepEqual(asked, [ended.actionId, ended.actionId]);
  const standing = async () => [{ key: 'waiting:1', version: fence }];
  assert.equal((await room.call('get_order', { order: 1 }, { stands: standing })).kind, 'done');
  await room.close();
});

/** @proves law-1.fences */
test('a task that ended elsewhere: no dispatch, although its token and agent are good', async () => {
  const room = await openRoom({ follow: false });
  const { storage, clock, log, recordChange } = room.house;
  const other = await createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log });
  await other.endTask(room.task.id, 'gatehouse');
  const outcome = await room.call('get_order', { order: 1 });
  assert.equal(outcome.kind, 'refused');
  assert.deepEqual(room.sends, []);
  await room.close();
});

/** @proves law-6.final */
test('a call that is stopped after its dispatch was recorded is not sent any more, and its record says so', async () => {
  let stop = () => {};
  const room = await openRoom({ afterAppend: () => stop() });
  stop = () => room.enforcement.stop({ agent: AGENT }, 'the agent was killed');
  const outcome = await room.call('get_order', { order: 1 });
  assert.deepEqual(room.sends, []);
  assert.ok(outcome.kind === 'done' && outcome.sent.result === 'failure');
  stop = () => {};
  while ((await room.recordsOf(outcome.actionId)).length < 2);
  const last = (await room.recordsOf(outcome.actionId)).at(-1);
  assert.equal(last?.result, 'failure');
  assert.match(last?.detail ?? '', /killed/);
  await room.close();
});

/** @proves law-1.unwritable */
test('when the record cannot be written nothing is sent and nothing is allowed', async () => {
  const room = await openRoom({ follow: false });
  await room.storage.close();
  await assert.rejects(room.call('get_order', { order: 1 }), { kind: 'unavailable' });
  await assert.rejects(room.call('drop_table', { table: 'orders' }), { kind: 'unavailable' });
  assert.deepEqual(room.sends, []);
  await room.house.ledger.close();
  rmSync(room.house.dataDir, { recursive: true, force: true });
});
