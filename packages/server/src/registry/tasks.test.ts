import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../platform/index.ts';
import type { Registry } from './index.ts';
import { createTaskCache } from './task-cache.ts';
import { agentInput, baseInputs, by, manifests, openWorkspace, type Workspace } from './testing/workspace.ts';

const name = agentInput.name;
type Details = Parameters<Registry['startTask']>[1];
const details: Details = {
  type: 'urn:gatehouse:task',
  template: 'refund-order',
  parameters: { order: 1042, customer: 'customer-z' },
  intent: 'refund order 1042',
};

async function openApplied(): Promise<Workspace> {
  const workspace = await openWorkspace();
  await workspace.registry.apply(manifests(...baseInputs()), { prune: false, by });
  return workspace;
}

test('a task starts in the environment of its agent, for the time of its template, and is recorded as declared', async () => {
  await using workspace = await openApplied();
  const { registry, clock } = workspace;
  const task = await registry.startTask(name, { ...details, requested_by: 'user@example.test', ticket: 'T-1' });
  assert.match(task.id, /^tsk_/);
  assert.equal(task.environment, 'production');
  assert.equal(task.expiresAt, clock.nowMs + 600_000);
  assert.deepEqual(await registry.task(task.id), task);
  const record = (await workspace.records()).at(-1);
  assert.equal(record?.operation, 'task.start');
  assert.equal(record.entry.by, `spiffe://example.test/env/production/agent/${name}`);
  assert.equal(record.entry.detail, details.intent);
  assert.deepEqual(record.entry.changes, [
    'template: refund-order',
    'parameters (declared): {"customer":"customer-z","order":1042}',
    'requested_by (declared): user@example.test',
    'ticket (declared): T-1',
  ]);
});

/** @proves law-5.narrows */
test('what an agent asks for narrows a task together with what it rests on', async () => {
  await using workspace = await openApplied();
  const tools = ['shop/*', 'mail/read'];
  const start = async (narrowing?: { tools: string[] }) =>
    (await workspace.registry.startTask(name, { ...details, tools }, narrowing ? { narrowing } : {})).narrowing;
  assert.deepEqual(await start(), { tools });
  assert.deepEqual(await start({ tools: ['shop/get', 'bank/*'] }), { tools: ['shop/get'] });
  assert.deepEqual(await start({ tools: ['bank/*'] }), { tools: [] });
});

test('no task outlives the limit, whatever its template says', async () => {
  await using workspace = await openApplied();
  const { registry, clock } = workspace;
  const long = { kind: 'Template', name: 'long', ttlSeconds: 86_400 } as const;
  const blueprint = { kind: 'Blueprint' as const, name: 'support', templates: ['refund-order', 'long'] };
  await registry.apply(manifests(long, blueprint), { prune: false, by });
  const task = await registry.startTask(name, { ...details, template: 'long', parameters: {} });
  assert.equal(task.expiresAt, clock.nowMs + limits.taskTtlSeconds * 1_000);
});

for (const state of ['draft', 'suspended', 'retired'] as const) {
  test(`an agent that is ${state} starts nothing`, async () => {
    await using workspace = await openApplied();
    const { registry } = workspace;
    const other = { ...agentInput, name: 'agent-other', state };
    await registry.apply(manifests(other), { prune: false, by });
    await assert.rejects(registry.startTask('agent-other', details), { code: `agent.${state}` });
  });
}

test('a killed agent starts nothing, also on a replica that has not heard of the kill', async () => {
  await using workspace = await openApplied();
  const stale = await workspace.another();
  await workspace.registry.setAgentState(name, 'suspended', by, { killed: true });
  assert.equal(stale.snapshot().agents.get(name)?.state, 'active');
  await assert.rejects(stale.startTask(name, details), { code: 'agent.killed' });
  assert.deepEqual(await stale.listTasks({ limit: 10 }), []);
});

test('a template that the blueprint does not list is refused with the list', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  await registry.apply(manifests({ kind: 'Template', name: 'other' }), { prune: false, by });
  for (const template of ['other', 'none'])
    await assert.rejects(registry.startTask(name, { ...details, template, parameters: {} }), {
      code: 'task.template-not-allowed',
      message: /It allows: refund-order\./,
    });
  await assert.rejects(registry.startTask('agent-none', details), { code: 'agent.unknown' });
});

const wrong: [what: string, parameters: Record<string, unknown>, message: RegExp][] = [
  ['a missing one', { order: 1 }, /"customer" \(string\) is missing/],
  ['an unknown one', { order: 1, customer: 'c', amount: 5 }, /"amount" is not a parameter/],
  ['a number as text', { order: '1', customer: 'c' }, /"order" must be of type integer/],
  ['text as a number', { order: 1, customer: 5 }, /"customer" must be of type string/],
  ['a number that is not exact', { order: 2 ** 53, customer: 'c' }, /order/],
  ['a fraction', { order: 1.5, customer: 'c' }, /order/],
  ['hidden characters', { order: 1, customer: 'c\u200b' }, /"customer" holds the hidden character U\+200B/],
  ['an inherited name', JSON.parse('{"order":1,"customer":"c","constructor":"x"}'), /"constructor" is not a parameter/],
];
for (const [what, parameters, message] of wrong) {
  test(`parameters are exactly what the template declares: ${what} is refused`, async () => {
    await using workspace = await openApplied();
    const given = { ...details, parameters } as Details;
    await assert.rejects(workspace.registry.startTask(name, given), { kind: 'bad-request', message });
    assert.deepEqual(await workspace.registry.listTasks({ limit: 10 }), []);
  });
}

test('an optional parameter may be left out, and details of a wrong shape are refused', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  await registry.startTask(name, { ...details, parameters: { order: 1, customer: 'c', note: 'n' } });
  for (const more of [{ intent: '' }, { intent: 'x'.repeat(2_001) }, { ticket: 'x'.repeat(201) }, { extra: 1 }])
    await assert.rejects(registry.startTask(name, { ...details, ...more }), { code: 'task.invalid' });
  const continued = { type: details.type, task: 'tsk_1' } as unknown as Details;
  await assert.rejects(registry.startTask(name, continued), { code: 'task.invalid' });
});

test('a task whose time is over is ended, without anybody saying so', async () => {
  await using workspace = await openApplied();
  const { registry, clock } = workspace;
  const task = await registry.startTask(name, details);
  clock.nowMs = task.expiresAt;
  const other = await workspace.another();
  for (const each of [registry, other]) {
    assert.equal((await each.task(task.id))?.state, 'ended');
    assert.deepEqual(await each.listTasks({ state: 'active', limit: 10 }), []);
    assert.equal((await each.listTasks({ state: 'ended', limit: 10 }))[0]?.id, task.id);
  }
});

test('an ended task raises its fence, is announced, and does not come back', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  const task = await registry.startTask(name, details);
  const ended = await registry.endTask(task.id, by);
  assert.equal(ended.state, 'ended');
  assert.equal(await workspace.fence(`task:${task.id}`), 1);
  assert.equal((await registry.task(task.id))?.state, 'ended');
  const before = await workspace.everything();
  assert.equal((await registry.endTask(task.id, by)).state, 'ended');
  assert.equal(await workspace.everything(), before);
  await assert.rejects(registry.endTask('tsk_none', by), { code: 'task.unknown' });
});

test('a task that another replica started is found; one that nobody started is not', async () => {
  await using workspace = await openApplied();
  const other = await workspace.another();
  assert.equal(await other.task('tsk_none'), undefined);
  const task = await workspace.registry.startTask(name, details);
  assert.deepEqual(await other.task(task.id), task);
});

test('lists are newest first, page by page, of one agent and one state', async () => {
  await using workspace = await openApplied();
  const { registry } = workspace;
  await registry.apply(manifests({ ...agentInput, name: 'agent-other' }), { prune: false, by });
  const ids: string[] = [];
  for (let count = 0; count < 5; count++) {
    workspace.clock.nowMs += 1;
    ids.unshift((await registry.startTask(name, details)).id);
  }
  await registry.startTask('agent-other', details);
  const page = await registry.listTasks({ agent: name, limit: 3 });
  const next = await registry.listTasks({ agent: name, limit: 3, before: page.at(-1)?.id });
  assert.deepEqual(
    [...page, ...next].map(({ id }) => id),
    ids,
  );
  await registry.endTask(ids[0] ?? '', by);
  assert.equal((await registry.listTasks({ agent: name, state: 'active', limit: 10 })).length, 4);
});

test('a revoked token is in the snapshot, behind a fence of its own; revoking it twice writes once', async () => {
  await using workspace = await openApplied();
  const { registry, clock } = workspace;
  await registry.revokeToken({ id: 'tok_1', expiresAt: clock.nowMs + 1_000 }, by);
  assert.equal(registry.snapshot().revokedTokens.get('tok_1'), clock.nowMs + 1_000);
  assert.equal(await workspace.fence('token:tok_1'), 1);
  const before = await workspace.everything();
  await registry.revokeToken({ id: 'tok_1', expiresAt: clock.nowMs + 1_000 }, by);
  assert.equal(await workspace.everything(), before);
});

test('revoked tokens are forgotten once they have expired anyway', async () => {
  await using workspace = await openApplied();
  const { registry, clock } = workspace;
  await registry.revokeToken({ id: 'tok_1', expiresAt: clock.nowMs + 1_000 }, by);
  clock.nowMs += 2 * 86_400_000;
  await registry.revokeToken({ id: 'tok_2', expiresAt: clock.nowMs + 1_000 }, by);
  assert.deepEqual([...registry.snapshot().revokedTokens.keys()], ['tok_2']);
  assert.equal(await workspace.fence('token:tok_1'), 0);
  const rows = await workspace.storage.db.selectFrom('revoked_tokens').selectAll().execute();
  assert.equal(rows.length, 1);
});

test('the cache gives out no task that was ended while it was read, in any order of events', async () => {
  const event = fc.constantFrom('read', 'end', 'tell', 'arrive');
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 12 }), async (events) => {
      const cache = createTaskCache();
      let state: 'active' | 'ended' = 'active';
      const arrivals: (() => void)[] = [];
      const reads: Promise<unknown>[] = [];
      const read = async () => {
        const seen = state;
        await new Promise<void>((resolve) => arrivals.push(resolve));
        return { id: 'tsk_1', agent: name, state: seen } as Awaited<ReturnType<Registry['endTask']>>;
      };
      for (const each of events) {
        if (each === 'read') reads.push(cache.through(read));
        if (each === 'end') state = 'ended';
        if (each === 'tell' && state === 'ended') cache.forget([{ topic: 'task', key: 'tsk_1' }]);
        if (each === 'arrive') arrivals.shift()?.();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const wasTold = events.indexOf('end') >= 0 && events.lastIndexOf('tell') > events.indexOf('end');
      const drain = setInterval(() => arrivals.shift()?.(), 0);
      await Promise.all(reads);
      clearInterval(drain);
      if (wasTold) assert.equal(cache.get('tsk_1'), undefined);
    }),
    { numRuns: 200 },
  );
});

test('the cache is bounded: the least recently used goes first', () => {
  const cache = createTaskCache(2);
  const task = (id: string) => ({ id, agent: name, state: 'active' }) as Awaited<ReturnType<Registry['endTask']>>;
  const put = (id: string) => cache.started(async () => task(id));
  return put('a')
    .then(() => put('b'))
    .then(() => cache.get('a'))
    .then(() => put('c'))
    .then(() => assert.deepEqual([cache.get('a')?.id, cache.get('b'), cache.get('c')?.id], ['a', undefined, 'c']));
});
