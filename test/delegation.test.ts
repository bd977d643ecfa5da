import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type AgentClient, type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { openForeignIssuer } from '../packages/server/src/identity/testing/foreign-issuer.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Law 5: delegation only narrows. The whole server, real agents, a real person with a passkey. */
const USER = 'customer@example.test';
let workspace: Workspace;
let user: SignedInPerson;
let owner: SignedInPerson;
let planner: AgentClient;
let worker: AgentClient;

before(async () => {
  workspace = await startWorkspace();
  const all = manifests().map((each) =>
    each.kind === 'Agent' && each.name === 'agent-a' ? { ...each, delegatesTo: { agents: ['agent-b'] } } : each,
  );
  await workspace.apply([
    ...all,
    { kind: 'Person', email: USER, displayName: 'Customer', roles: ['owner'] },
    { kind: 'Person', email: 'dev@example.test', displayName: 'Dev', roles: ['developer'] },
    { kind: 'Group', name: 'customers', members: [USER], allow: [{ tools: ['shop/get_order', 'shop/refund_order'] }] },
  ]);
  user = await workspace.person(USER);
  owner = await workspace.person('owner@example.test');
  planner = await workspace.agent('agent-a');
  worker = await workspace.agent('agent-b');
});
after(() => workspace.close());

async function connect(task: AgentTask): Promise<Client> {
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  return client;
}

const order = { name: 'shop__get_order', arguments: { order: 1042 } };
const delegate = (more: object = {}) =>
  user.api('POST /delegations', { body: { agent: 'agent-a', template: 'all', ...more } });

/** @proves law-5.both */
test('for a person an agent may do what both may: it sees and calls no more, and is told whose permission is missing', async () => {
  const { id } = await delegate();
  const task = await planner.startTask({ template: 'all', intent: 'help the customer', delegation: id });
  const stored = await workspace.operator('GET /tasks/:id', { params: { id: task.id } });
  assert.equal(stored.user, USER);
  assert.equal(stored.delegation, id);
  const client = await connect(task);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name).sort(), ['shop__get_order', 'shop__refund_order']);
  assert.ok(!(await client.callTool(order)).isError);
  const refused = await client.callTool({ name: 'shop__list_orders', arguments: { customer: 'z' } });
  assert.match(
    JSON.stringify(refused),
    /customer@example\.test, for whom this task acts, may not use shop\/list_orders/,
  );
  const { items } = await workspace.operator('GET /delegations', { query: { agent: 'agent-a' } });
  assert.equal(items.find((each) => each.id === id)?.used, 1);

  const own = await connect(await planner.startTask({ template: 'all', intent: 'own', onBehalfOf: USER }));
  assert.ok((await own.listTools()).tools.length > 2, 'in its own name it may do what its template allows');
  await own.close();
  await client.close();
});

/** @proves delegation.revoked */
test('a revoked delegation ends what rests on it, the tasks of other agents too, before the call returns', async () => {
  const { id } = await delegate();
  const task = await planner.startTask({ template: 'all', intent: 'x', delegation: id });
  const handed = await worker.takeOver(await task.token(), { template: 'all', intent: 'y' });
  const client = await connect(handed);
  assert.ok(!(await client.callTool(order)).isError);
  const { items } = await workspace.operator('GET /actions', { query: { task: handed.id, operation: 'tools/call' } });
  const view = await workspace.operator('GET /actions/:id', { params: { id: items[0]?.actionId as string } });
  assert.deepEqual(
    view.records[0]?.record.actor_chain.map(({ sub }) => sub.split('/').at(-1)),
    ['agent-b', 'agent-a', `person:${USER}`],
  );
  const revoked = await user.api('DELETE /delegations/:id', { params: { id } });
  assert.equal(revoked.state, 'revoked');
  await assert.rejects(client.callTool(order));
  for (const each of [task.id, handed.id])
    assert.equal((await workspace.operator('GET /tasks/:id', { params: { id: each } })).state, 'ended');
  await assert.rejects(planner.startTask({ template: 'all', intent: 'again', delegation: id }), /was revoked/);
});

/** @proves law-6.chain */
test('a kill counts and ends what the agent has handed on; what waits for approval there is cancelled', async () => {
  const task = await planner.startTask({ template: 'all', intent: 'x' });
  const handed = await worker.takeOver(await task.token(), { template: 'all', intent: 'y' });
  const client = await connect(handed);
  const refund = { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' };
  assert.ok((await client.callTool({ name: 'shop__refund_order', arguments: refund }))._meta?.['gatehouse/approval']);
  const before = await workspace.operator('GET /agents/:name', { params: { name: 'agent-a' } });
  const killed = await workspace.operator('POST /agents/:name/kill', {
    params: { name: 'agent-a' },
    body: { reason: 'test' },
  });
  assert.equal(killed.endedTasks, before.activeTasks + 1);
  assert.equal(killed.cancelledApprovals, 1);
  await assert.rejects(client.callTool(order));
  await assert.rejects(worker.resumeTask(handed.id));
  await assert.rejects(worker.takeOver(await task.token(), { template: 'all', intent: 'y' }), /killed/);
  const own = await connect(await worker.startTask({ template: 'all', intent: 'own' }));
  assert.ok(!(await own.callTool(order)).isError, 'the other agent itself is not stopped');
  await own.close();
  await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-a' }, body: { state: 'active' } });
});

/** @proves delegation.own */
test('nobody delegates for another, and who sees, reviews and revokes a delegation', async () => {
  const { id } = await delegate({ agent: 'agent-b', maxTasksPerDay: 1, days: 90 });
  await assert.rejects(
    workspace.operator('POST /delegations', { body: { agent: 'agent-a', template: 'all' } }),
    /403|passkey|person/i,
  );
  await assert.rejects(delegate({ template: 'refund' }), /starts no tasks under/);
  await assert.rejects(delegate({ days: 91 }), /body/);
  await assert.rejects(delegate({ user: 'owner@example.test' }), /body/);

  const dev = await workspace.person('dev@example.test');
  assert.deepEqual((await dev.api('GET /delegations')).items, [], 'not theirs, not to their agents');
  await assert.rejects(dev.api('DELETE /delegations/:id', { params: { id } }), /404/);
  await assert.rejects(owner.api('POST /delegations/:id/review', { params: { id } }), /delegation.not-yours/);
  assert.ok((await owner.api('GET /delegations')).items.some((each) => each.id === id));
  const { reviewedAt } = await user.api('POST /delegations/:id/review', { params: { id } });
  assert.notEqual(reviewedAt, null);

  await assert.rejects(planner.startTask({ template: 'all', intent: 'x', delegation: id }), /has no delegation/);
  await worker.startTask({ template: 'all', intent: 'x', delegation: id });
  await assert.rejects(worker.startTask({ template: 'all', intent: 'x', delegation: id }), /24 hours/);
  await assert.rejects(
    worker.takeOver(await (await planner.startTask({ template: 'all', intent: 'x' })).token(), {
      template: 'all',
      intent: 'x',
      delegation: id,
    }),
    /and nowhere else/,
  );
  assert.equal((await owner.api('DELETE /delegations/:id', { params: { id } })).revokedBy, 'person:owner@example.test');
});

test('bounds of a delegation: its template, its parameters and its tools', async () => {
  const { id } = await delegate({
    agent: 'agent-b',
    template: 'refund-order',
    parameters: { customer: 'z' },
    tools: ['shop/get_order'],
  });
  const start = (customer: string) =>
    worker.startTask({ template: 'refund-order', parameters: { order: 1042, customer }, intent: 'x', delegation: id });
  await assert.rejects(start('y'), /'customer' is 'z'/);
  await assert.rejects(worker.startTask({ template: 'all', intent: 'x', delegation: id }), /delegation/);
  const client = await connect(await start('z'));
  assert.deepEqual(
    (await client.listTools()).tools.map(({ name }) => name),
    ['shop__get_order'],
  );
  await client.close();
});

test('the SDK exchanges the ID token of an application for a task that acts for its person, and for nobody else', async () => {
  const issuer = await openForeignIssuer(workspace.url);
  try {
    await workspace.apply([
      {
        kind: 'IdentityProvider',
        name: 'company',
        displayName: 'Company',
        issuer: issuer.url,
        clientId: 'gatehouse',
        allowPrivateAddress: true,
        tokenExchange: { audiences: ['shop-application'] },
      },
    ]);
    const token = (email: string, aud = 'shop-application') =>
      issuer.sign({ sub: email, email, email_verified: true, aud });
    const request = { template: 'all', intent: 'as asked in the application' };
    await assert.rejects(planner.startTaskFor(await token(USER, 'other'), request), /audience|aud/);
    await assert.rejects(planner.startTaskFor(await token('dev@example.test'), request), { code: 'access_denied' });
    const { id } = await delegate();
    const task = await planner.startTaskFor(await token(USER), { ...request, delegation: id });
    const stored = await workspace.operator('GET /tasks/:id', { params: { id: task.id } });
    assert.deepEqual([stored.user, stored.delegation], [USER, id]);
    // It goes on as every task does.
    assert.ok((await task.renew()).token);
  } finally {
    await issuer.close();
  }
});
