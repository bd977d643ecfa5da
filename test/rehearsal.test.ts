import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { manifest } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { startPostgres } from './support/postgres.ts';
import { replayOf } from './support/replay-lines.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

const server = startPostgres();
after(async () => (await server)?.close());

/** A whole server on each database. */
function onEachDatabase(title: string, run: (workspace: Workspace) => Promise<void>): void {
  test(`${title} (SQLite)`, async () => {
    const workspace = await startWorkspace();
    try {
      await run(workspace);
    } finally {
      await workspace.close();
    }
  });
  test(`${title} (PostgreSQL)`, async (t) => {
    const postgres = await server;
    if (!postgres) return t.skip('there is no PostgreSQL on this machine');
    const database = await postgres.createDatabase();
    const workspace = await startWorkspace({ database: database.url });
    try {
      await run(workspace);
    } finally {
      await workspace.close();
      await database.drop();
    }
  });
}

const parsed = (inputs: ManifestInput[]) => inputs.map((input) => manifest.parse(input));

function operatorHeaders(workspace: Workspace) {
  const token = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
  return { authorization: `Operator ${token}` };
}

const replay = (workspace: Workspace, inputs: ManifestInput[], more: object = {}) =>
  replayOf(workspace.url, operatorHeaders(workspace), { manifests: parsed(inputs), ...more });

/** An agent at work; gives whether the call ran. */
async function callerOf(workspace: Workspace) {
  const agent = await workspace.agent('agent-a');
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'test' })));
  return async (name: string, args: Record<string, unknown>) =>
    !(await client.callTool({ name: `shop__${name}`, arguments: args })).isError;
}

const forbidOrder1002: ManifestInput = {
  kind: 'Policy',
  name: 'orders',
  cedar: `@id("not-1002") forbid (principal, action == Gatehouse::Action::"shop/get_order", resource) when { context.arguments.order == 1002 };`,
};

const shopWith = (tool: string, tier: 1 | 2 | 3 | 4): ManifestInput => {
  const shop = manifests().find(({ kind }) => kind === 'ToolServer') as Extract<ManifestInput, { kind: 'ToolServer' }>;
  const tools = shop.tools as Record<string, { tier: 1 | 2 | 3 | 4 }>;
  return { ...shop, tools: { ...tools, [tool]: { ...tools[tool], tier } } } as ManifestInput;
};

/** @proves policy.replay */
onEachDatabase(
  'recorded actions are decided again: nothing differs without a change, and a change shows what it does',
  async (workspace) => {
    await workspace.apply(manifests());
    const call = await callerOf(workspace);
    assert.ok(await call('get_order', { order: 1001 }));
    assert.ok(await call('get_order', { order: 1002 }));
    assert.ok(!(await call('get_order', { order: 'many' })));
    assert.ok(!(await call('drop_table', { table: 'orders' })));

    const { result: same } = await replay(workspace, []);
    assert.equal(same.replayed, 4);
    assert.equal(same.unchanged, 4);
    assert.equal(same.decidedOtherwise.count, 0, JSON.stringify(same.decidedOtherwise));
    assert.deepEqual(same.cannotReplay, []);

    const { result: forbidding } = await replay(workspace, [forbidOrder1002]);
    assert.equal(forbidding.stops.count, 1);
    assert.equal(forbidding.unchanged, 3);
    assert.deepEqual(forbidding.stops.policies, [{ name: 'orders#not-1002', count: 1 }]);
    assert.deepEqual(forbidding.stops.tools, [{ name: 'shop/get_order', count: 1 }]);
    assert.deepEqual(forbidding.stops.agents, [{ name: 'agent-a', count: 1 }]);
    const [example] = forbidding.stops.examples;
    assert.equal(example?.before.effect, 'allow');
    assert.match(example?.after.reason ?? '', /Forbidden/);
    const { arguments: called } = await workspace.operator('GET /actions/:id', {
      params: { id: example?.actionId ?? '' },
    });
    assert.deepEqual(called, { order: 1002 });

    const { result: waiting } = await replay(workspace, [shopWith('get_order', 3)]);
    assert.equal(waiting.waits.count, 2);
    const { result: running } = await replay(workspace, [shopWith('drop_table', 1)]);
    assert.equal(running.runs.count, 1);
    assert.equal(running.runs.examples[0]?.before.code, 'tier.prohibited');
    // It was a rehearsal.
    assert.equal((await workspace.operator('GET /policy/versions')).items.length, 1);
  },
);

const permitDrop: ManifestInput = {
  kind: 'Policy',
  name: 'dropping',
  cedar: `@id("drop") permit (principal, action == Gatehouse::Action::"shop/get_ticket", resource);`,
};

const deciders: ManifestInput[] = [
  { kind: 'Person', email: 'second@example.test', displayName: 'Second', roles: ['security'] },
  { kind: 'Person', email: 'third@example.test', displayName: 'Third', roles: ['admin'] },
];

async function ship(workspace: Workspace, person: SignedInPerson, number: number) {
  const params = { number: String(number) };
  const { digest } = await person.api('GET /policy/proposals/:number', { params });
  const { options } = await person.api('POST /policy/proposals/:number/options', { params, body: { digest } });
  const assertion = person.passkey.assert(options as never, workspace.url);
  return person.api('POST /policy/proposals/:number/ship', { params, body: { digest, assertion } });
}

const applyAs = (person: SignedInPerson, inputs: ManifestInput[], note = '') =>
  person.api('POST /apply', { body: { manifests: parsed(inputs), note } });

/** @proves policy.second-person */
onEachDatabase('what relaxes waits for a second person; what tightens does not', async (workspace) => {
  // Nobody has a passkey yet: the workspace is being set up.
  const set = await workspace.apply([...manifests({ production: true }), ...deciders]);
  assert.equal(set.proposed, undefined);
  const owner = await workspace.person('owner@example.test');
  const second = await workspace.person('second@example.test');
  const third = await workspace.person('third@example.test');
  const isThere = async () => {
    const { manifests: all } = await workspace.operator('GET /export');
    return all.some((each) => (each as { name?: string }).name === 'dropping');
  };

  assert.equal((await applyAs(owner, [forbidOrder1002])).proposed, undefined);
  const asked = await applyAs(owner, [permitDrop], 'tickets');
  assert.equal(asked.proposed?.number, 1);
  assert.deepEqual(asked.proposed?.relaxes, [
    { kind: 'Policy', name: 'dropping', why: 'permit dropping#drop is new or changed' },
  ]);
  assert.equal(await isThere(), false);

  // Not its author, not the operator, not a passkey of another day, and not without one.
  await assert.rejects(ship(workspace, owner, 1), /somebody else ships it: second@example.test, third@example.test/);
  const params = { number: '1' };
  const { digest } = await second.api('GET /policy/proposals/:number', { params });
  await assert.rejects(
    workspace.operator('POST /policy/proposals/:number/ship', { params, body: { digest, assertion: {} } }),
    { status: 403 },
  );
  const { options } = await second.api('POST /policy/proposals/:number/options', { params, body: { digest } });
  const assertion = second.passkey.assert(options as never, workspace.url);
  await assert.rejects(third.api('POST /policy/proposals/:number/ship', { params, body: { digest, assertion } }), {
    status: 403,
  });
  await assert.rejects(
    second.api('POST /policy/proposals/:number/ship', { params, body: { digest: `${digest}0`, assertion } }),
    /not what was shown/,
  );

  // Two at once: one ships it.
  const both = await Promise.allSettled([ship(workspace, second, 1), ship(workspace, third, 1)]);
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(await isThere(), true);
  const [newest] = (await workspace.operator('GET /policy/versions')).items;
  assert.equal(newest?.by, 'person:owner@example.test');
  assert.match(newest?.approvedBy ?? '', /^person:(second|third)@example.test$/);
  assert.equal(newest?.note, 'tickets');
  assert.equal(newest?.proposal, 1);
  await assert.rejects(ship(workspace, third, 1), /already/);

  // Somebody made up for the occasion would be a decider: that, too, waits.
  const made = await applyAs(owner, [
    { kind: 'Person', email: 'puppet@example.test', displayName: 'Puppet', roles: ['admin'] },
  ]);
  assert.match(made.proposed?.relaxes[0]?.why ?? '', /gives the role admin/);

  // The policies move on: what was shown is not what would be done.
  const tier = await applyAs(owner, [shopWith('refund_order', 2)]);
  assert.match(tier.proposed?.relaxes[0]?.why ?? '', /refund_order: tier 3 → 2/);
  await applyAs(owner, [shopWith('get_ticket', 2)]);
  await assert.rejects(ship(workspace, second, tier.proposed?.number ?? 0), /changed since/);
  const rejected = await second.api('POST /policy/proposals/:number/reject', {
    params: { number: String(made.proposed?.number) },
    body: { reason: 'who is that?' },
  });
  assert.equal(rejected.state, 'rejected');
  assert.equal(rejected.reason, 'who is that?');
});

/** @proves policy.second-person */
test('a single decider ships their own change, and the record says so', async () => {
  const workspace = await startWorkspace();
  try {
    await workspace.apply(manifests({ production: true }));
    const owner = await workspace.person('owner@example.test');
    // The host's token is no person, so that what it asks for is shipped by one.
    const asked = await workspace.apply([permitDrop]);
    assert.equal(asked.proposed?.number, 1);
    await ship(workspace, owner, 1);
    const own = await applyAs(owner, [shopWith('refund_order', 2)]);
    await ship(workspace, owner, own.proposed?.number ?? 0);
    const { items } = await workspace.operator('GET /records', { query: { operation: 'policy.ship' } });
    assert.deepEqual(
      items.map(({ record }) => record.changes.some((line) => /nobody else/.test(line))),
      [true, true],
    );
    // A passkey of after the proposal ships nothing.
    const later = await applyAs(owner, [shopWith('refund_order', 1)]);
    const again = await workspace.person('owner@example.test', { recovery: true });
    await assert.rejects(ship(workspace, again, later.proposed?.number ?? 0), /enrolled after/);
  } finally {
    await workspace.close();
  }
});

/** @proves policy.versions */
onEachDatabase('every state of what decides is a version, and one can go back to it', async (workspace) => {
  await workspace.apply(manifests());
  const call = await callerOf(workspace);
  const number = async () => (await workspace.operator('GET /policy/versions')).items[0];
  const first = await number();
  assert.equal(first?.number, 1);
  await workspace.apply(manifests());
  assert.equal((await number())?.number, 1, 'nothing has changed');
  await workspace.apply([forbidOrder1002]);
  await workspace.apply([shopWith('get_order', 3)]);
  assert.equal((await number())?.number, 3);
  assert.ok(!(await call('get_order', { order: 1001 })));
  const { manifests: then } = await workspace.operator('GET /policy/versions/:number', { params: { number: '2' } });
  assert.ok(then.some((each) => each.kind === 'Policy' && each.name === 'orders'));

  const rollback = (to: number) =>
    workspace.operator('POST /policy/versions/:number/rollback', {
      params: { number: String(to) },
      body: { note: 'calm' },
    });
  await rollback(2);
  assert.ok(await call('get_order', { order: 1001 }));
  assert.ok(!(await call('get_order', { order: 1002 })));
  const back = await rollback(1);
  assert.equal(back.version, 5);
  assert.ok(await call('get_order', { order: 1002 }));
  const now = await number();
  assert.equal(now?.policyVersion, first?.policyVersion, 'it decides as it did');
  assert.equal(now?.rollbackTo, 1);
  assert.equal(now?.note, 'calm');
  await assert.rejects(rollback(99), { status: 404 });
  // Agents and people are nobody's policy.
  assert.equal((await workspace.operator('GET /agents/:name', { params: { name: 'agent-a' } })).state, 'active');
});

/** @proves policy.observe */
onEachDatabase(
  'a policy in observe mode changes no decision, and what it would have done is counted',
  async (workspace) => {
    await workspace.apply(manifests());
    const call = await callerOf(workspace);
    await workspace.apply([{ ...forbidOrder1002, mode: 'observe' } as ManifestInput]);
    assert.ok(await call('get_order', { order: 1002 }));
    assert.ok(await call('get_order', { order: 1001 }));
    const { items } = await workspace.operator('GET /policy/observed');
    assert.deepEqual(
      items.map(({ policy, observing, stops }) => ({ policy, observing, stops })),
      [{ policy: 'orders#not-1002', observing: true, stops: 1 }],
    );
    const { result } = await replay(workspace, [{ ...forbidOrder1002, mode: 'enforce' } as ManifestInput]);
    assert.equal(result.stops.count, 1);
    await workspace.apply([{ ...forbidOrder1002, mode: 'enforce' } as ManifestInput]);
    assert.ok(!(await call('get_order', { order: 1002 })));
  },
);

/** @proves policy.rollback */
test('a rollback that relaxes waits as well, and one that comes between makes a proposal stale', async () => {
  const workspace = await startWorkspace();
  try {
    await workspace.apply([...manifests({ production: true }), ...deciders]);
    const owner = await workspace.person('owner@example.test');
    const second = await workspace.person('second@example.test');
    await applyAs(owner, [forbidOrder1002]);
    const params = { number: '1' };
    const back = await owner.api('POST /policy/versions/:number/rollback', { params, body: {} });
    assert.match(back.proposed?.relaxes[0]?.why ?? '', /forbid orders#not-1002 is gone/);
    const open = await applyAs(owner, [permitDrop]);
    await ship(workspace, second, back.proposed?.number ?? 0);
    const { items } = await second.api('GET /policy/proposals');
    assert.deepEqual(
      items.map(({ number, state }) => [number, state]),
      [
        [open.proposed?.number, 'stale'],
        [back.proposed?.number, 'shipped'],
      ],
    );
    assert.equal((await workspace.operator('GET /policy/versions')).items[0]?.rollbackTo, 1);
  } finally {
    await workspace.close();
  }
});
