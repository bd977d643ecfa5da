import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../identity/index.ts';
import { doorLimits } from './limits.ts';
import { createOwnedTasks } from './owned-tasks.ts';
import { taskOf } from './testing/world.ts';

const caller: Caller = {
  agent: 'agent',
  agentEpoch: 1,
  task: taskOf('agent', 'tsk_1'),
  actorChain: [],
  chain: [],
  tokenId: 't',
  proofKey: null,
  expiresAt: Number.MAX_SAFE_INTEGER,
};
const started = { operation: 'tools/call', name: 'tool', arguments: {}, obligations: undefined };

test('what tasks ask their clients counts in the bytes that are kept: the oldest task gives way', () => {
  const tasks = createOwnedTasks();
  for (const id of ['old', 'new']) tasks.own(caller, 'raw', id, started);
  const asked = tasks.asked('raw', 'new');
  const shown = 'x'.repeat(1024 * 1024);
  const most = doorLimits.rememberedTaskBytes / shown.length;
  tasks.asked('raw', 'old').keep('key', shown);
  for (let key = 0; key < most - 2; key++) assert.equal(asked.keep(String(key), shown), shown);
  assert.ok(tasks.owns(caller, 'raw', 'old'));
  asked.keep('one more', shown);
  assert.deepEqual([tasks.owns(caller, 'raw', 'old'), tasks.owns(caller, 'raw', 'new')], [false, true]);
  assert.equal(asked.keep('too much', shown), null, 'a task that has too much for all goes itself');
  assert.equal(tasks.owns(caller, 'raw', 'new'), false);
  tasks.own(caller, 'raw', 'next', started);
  assert.equal(tasks.asked('raw', 'next').keep('key', shown), shown, 'and leaves room');
});

test('a key means the request that was kept first, and a task asks so much and no more', () => {
  const tasks = createOwnedTasks();
  tasks.own(caller, 'raw', 't', started);
  const asked = tasks.asked('raw', 't');
  assert.equal(asked.get('key'), undefined);
  asked.keep('key', null);
  assert.equal(asked.keep('key', 'another'), null);
  for (let key = 1; key < doorLimits.asksPerTask; key++) asked.keep(String(key), 'x');
  assert.equal(asked.isFull(), true);
});
