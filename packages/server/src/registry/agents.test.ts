import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { Lifecycle } from '@gatehouse/protocol';
import { calculateJwkThumbprint } from 'jose';
import { thumbprint } from './index.ts';
import { agentInput, baseInputs, by, manifests, newKey, openWorkspace } from './testing/workspace.ts';

const name = agentInput.name;
const details = {
  type: 'urn:gatehouse:task',
  template: 'refund-order',
  parameters: { order: 1, customer: 'c' },
  intent: 'refund',
} as const;

async function openApplied(state: Lifecycle = 'active') {
  const workspace = await openWorkspace();
  const inputs = baseInputs().map((input) => (input.kind === 'Agent' ? { ...input, state } : input));
  await workspace.registry.apply(manifests(...inputs), { prune: false, by });
  return workspace;
}

const lives: [from: Lifecycle, to: Lifecycle[]][] = [
  ['draft', ['active', 'suspended', 'retired']],
  ['active', ['suspended', 'retired']],
  ['suspended', ['active', 'retired']],
  ['retired', []],
];
for (const [from, to] of lives) {
  for (const state of ['draft', 'active', 'suspended', 'retired'] as const) {
    if (state === from) continue;
    const possible = to.includes(state);
    test(`an agent that is ${from} ${possible ? 'can' : "can't"} become ${state}`, async () => {
      await using workspace = await openApplied(from);
      const { registry } = workspace;
      const change = registry.setAgentState(name, state, by);
      if (!possible) return assert.rejects(change, { code: 'agent.transition' });
      const { agent } = await change;
      assert.equal(agent.state, state);
      assert.equal(agent.epoch, 2);
      assert.deepEqual(registry.snapshot().agents.get(name), agent);
      assert.equal(registry.snapshot().fences.get(`agent:${name}`), 1);
      assert.equal((await workspace.operations()).at(-1)?.startsWith('agent.'), true);
    });
  }
}

test('setting the state that it has changes and writes nothing', async () => {
  await using workspace = await openApplied();
  const before = await workspace.everything();
  const { agent } = await workspace.registry.setAgentState(name, 'active', by);
  assert.equal(agent.epoch, 1);
  assert.equal(await workspace.everything(), before);
});

test('a kill suspends, marks, raises epoch and fence, and kills every running task, all in one transaction', async () => {
  await using workspace = await openApplied();
  const { registry, storage } = workspace;
  const tasks = [await registry.startTask(name, details), await registry.startTask(name, details)];
  const killed = storage.transaction(async (transaction) => {
    await registry.setAgentState(name, 'suspended', by, { killed: true, within: transaction });
    throw new Error('the rest of the kill failed');
  });
  await assert.rejects(killed, /the rest/);
  assert.equal(registry.snapshot().agents.get(name)?.state, 'active');
  assert.equal((await registry.task(tasks[0]?.id ?? ''))?.state, 'active');

  const epoch = registry.snapshot().agents.get(name)?.epoch ?? 0;
  const { agent, change } = await registry.setAgentState(name, 'suspended', by, { killed: true });
  assert.equal(agent.state, 'suspended');
  assert.equal(agent.epoch, epoch + 1);
  assert.equal(registry.snapshot().agents.get(name)?.epoch, epoch + 1);
  assert.equal(agent.killedAt, workspace.clock.nowMs);
  assert.equal(change, await storage.feed.head());
  for (const { id } of tasks) assert.equal((await registry.task(id))?.state, 'killed');
  assert.equal(await workspace.fence(`agent:${name}`), 1);
});

test('killing a killed agent does it again; killing a retired one leaves it retired', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const first = await registry.setAgentState(name, 'suspended', by, { killed: true });
  const second = await registry.setAgentState(name, 'suspended', by, { killed: true });
  assert.equal(second.agent.epoch, first.agent.epoch + 1);
  await registry.setAgentState(name, 'retired', by);
  const third = await registry.setAgentState(name, 'suspended', by, { killed: true });
  assert.equal(third.agent.state, 'retired');
});

test('a reactivation clears the kill, and brings no task back', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const task = await registry.startTask(name, details);
  await registry.setAgentState(name, 'suspended', by, { killed: true });
  const { agent } = await registry.setAgentState(name, 'active', by);
  assert.equal(agent.killedAt, null);
  assert.equal((await registry.task(task.id))?.state, 'killed');
});

test('a suspension leaves tasks where they are; retiring ends them', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const task = await registry.startTask(name, details);
  await registry.setAgentState(name, 'suspended', by);
  assert.equal((await registry.task(task.id))?.state, 'active');
  await registry.setAgentState(name, 'retired', by);
  assert.equal((await registry.task(task.id))?.state, 'ended');
});

test('a key is added once, raises the epoch, and is removed by its RFC 7638 thumbprint', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const key = newKey();
  assert.equal(thumbprint(key), await calculateJwkThumbprint({ ...key }));
  const added = await registry.addAgentKey(name, key, by);
  assert.equal(added.epoch, 2);
  const again = await registry.addAgentKey(name, { ...key, kid: 'other' }, by);
  assert.equal(again.epoch, 2);
  const removed = await registry.removeAgentKey(name, thumbprint(key), by);
  assert.equal(removed.epoch, 3);
  assert.deepEqual(removed.manifest.keys, []);
  await assert.rejects(registry.removeAgentKey(name, thumbprint(key), by), { code: 'agent.key-unknown' });
});

test('what is no public key is refused: private members, points off the curve, other encodings, other algorithms', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const key = newKey();
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  const wrong: unknown[] = [
    ec,
    rsa,
    { ...key, x: `${'x' in key ? key.x : ''}=` },
    { ...key, x: 'AAAA' },
    { kty: 'oct' },
    null,
  ];
  if (key.kty === 'EC') wrong.push({ ...key, y: key.x });
  for (const each of wrong)
    await assert.rejects(registry.addAgentKey(name, each as typeof key, by), { code: 'agent.key-invalid' });
  const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  assert.equal((await registry.addAgentKey(name, ed25519 as typeof key, by)).manifest.keys.length, 1);
});

test('an agent has at most eight keys, and a retired one takes none', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  for (let count = 0; count < 8; count++) await registry.addAgentKey(name, newKey(), by);
  await assert.rejects(registry.addAgentKey(name, newKey(), by), { code: 'agent.too-many-keys' });
  const nine = registry.apply(manifests({ ...agentInput, keys: [newKey()] }), { prune: false, by });
  await assert.rejects(nine, { code: 'manifest.invalid', message: /9 keys, and 8 are the most/ });
  await registry.setAgentState(name, 'retired', by);
  await assert.rejects(registry.addAgentKey(name, newKey(), by), { code: 'agent.retired' });
});

test('what is not registered is not found', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  await assert.rejects(registry.addAgentKey('agent-none', newKey(), by), { code: 'agent.unknown' });
  await assert.rejects(registry.setAgentState('agent-none', 'active', by), { code: 'agent.unknown' });
});
