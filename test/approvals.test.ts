import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Law 4: an approval is one person's yes to one action. */
let workspace: Workspace;
let approver: SignedInPerson;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  approver = await workspace.person('approver@example.test');
});
after(() => workspace.close());

const agents = new Map<string, ReturnType<Workspace['agent']>>();

function agentOf(name: string): ReturnType<Workspace['agent']> {
  const known = agents.get(name) ?? workspace.agent(name);
  agents.set(name, known);
  return known;
}

async function connect(
  agentName = 'agent-a',
  request: { requestedBy?: string; template?: string; parameters?: Record<string, string | number> } = {},
) {
  const agent = await agentOf(agentName);
  const task = await agent.startTask({ template: 'all', intent: 'test', ...request });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const call = async (args: Record<string, unknown>, name = 'refund_order') => {
    const result = await client.callTool({ name: `shop__${name}`, arguments: args });
    const approval = result._meta?.['gatehouse/approval'] as { id: string; url: string } | undefined;
    return { result, approval, ran: !result.isError };
  };
  return { task, client, call };
}

const order = 1042;
const refund = (more: Record<string, unknown> = {}) => ({
  order,
  amount_cents: 10,
  currency: 'EUR',
  reason: 'test',
  ...more,
});

async function refunds(): Promise<number> {
  const { call } = await connect('agent-b');
  const { result } = await call({ order }, 'get_order');
  return (result.structuredContent as { refunded_cents: number }).refunded_cents;
}

test('exactly the approved call runs, exactly once', async () => {
  const { call } = await connect();
  const before = await refunds();
  const first = await call(refund());
  assert.ok(first.approval && !first.ran);
  assert.equal((await call(refund())).approval?.id, first.approval.id, 'a retry waits for the same approval');
  await approver.approve(first.approval.id);
  assert.ok((await call(refund())).ran);
  const again = await call(refund());
  assert.ok(!again.ran && again.approval && again.approval.id !== first.approval.id, 'used up');
  assert.equal((await refunds()) - before, 10);
  await assert.rejects(approver.approve(first.approval.id), { status: 409 });
});

test('with any one field changed the call waits again: argument, task, agent, policy', async () => {
  const { call } = await connect();
  const { approval } = await call(refund({ amount_cents: 11 }));
  assert.ok(approval);
  await approver.approve(approval.id);
  for (const change of [{ amount_cents: 12 }, { currency: 'USD' }, { reason: 'other' }, { order: 1001 }]) {
    const changed = await call(refund({ amount_cents: 11, ...change }));
    assert.ok(!changed.ran, JSON.stringify(change));
    assert.notEqual(changed.approval?.id, approval.id);
  }
  const otherTask = await connect();
  assert.notEqual((await otherTask.call(refund({ amount_cents: 11 }))).approval?.id, approval.id);
  const otherAgent = await connect('agent-b');
  assert.notEqual((await otherAgent.call(refund({ amount_cents: 11 }))).approval?.id, approval.id);
  await workspace.apply(
    manifests({
      policies: {
        note: 'forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > 9000 };',
      },
    }),
  );
  const afterPolicy = await call(refund({ amount_cents: 11 }));
  assert.ok(!afterPolicy.ran && afterPolicy.approval?.id !== approval.id, 'another policy version');
});

test('64 racing retries of one approved call: one runs', async () => {
  const { call } = await connect();
  const before = await refunds();
  const { approval } = await call(refund({ amount_cents: 13 }));
  assert.ok(approval);
  await approver.approve(approval.id);
  const results = await Promise.all(Array.from({ length: 64 }, () => call(refund({ amount_cents: 13 }))));
  assert.equal(results.filter(({ ran }) => ran).length, 1);
  assert.equal((await refunds()) - before, 13);
});

test('who asked cannot approve, a person without the role cannot, an agent cannot, the operator of the host cannot', async () => {
  const { call, task } = await connect('agent-a', { requestedBy: 'approver@example.test' });
  const { approval } = await call(refund({ amount_cents: 14 }));
  assert.ok(approval);
  await assert.rejects(approver.approve(approval.id), { status: 403 });
  const auditor = await workspace.person('auditor@example.test');
  await assert.rejects(auditor.approve(approval.id), { status: 403 });
  await assert.rejects(workspace.operator('POST /approvals/:id/options', { params: { id: approval.id } }), {
    status: 403,
  });
  const byAgent = await task.fetch(`${workspace.url}/api/v1/approvals/${approval.id}/approve`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"assertion":{}}',
  });
  assert.ok([401, 403].includes(byAgent.status));
  const owner = await workspace.person('owner@example.test');
  await owner.approve(approval.id);
  assert.ok((await call(refund({ amount_cents: 14 }))).ran);
});

test('a signature over another action, or replayed, approves nothing', async () => {
  const { call } = await connect();
  const [one, two] = [await call(refund({ amount_cents: 15 })), await call(refund({ amount_cents: 16 }))];
  assert.ok(one.approval && two.approval);
  const { options } = await approver.api('POST /approvals/:id/options', { params: { id: one.approval.id } });
  const assertion = approver.passkey.assert(options as never, workspace.url);
  await assert.rejects(
    approver.api('POST /approvals/:id/approve', { params: { id: two.approval.id }, body: { assertion } }),
  );
  await approver.api('POST /approvals/:id/approve', { params: { id: one.approval.id }, body: { assertion } });
  await assert.rejects(
    approver.api('POST /approvals/:id/approve', { params: { id: two.approval.id }, body: { assertion } }),
  );
  assert.ok(!(await call(refund({ amount_cents: 16 }))).ran);
});

test('a pending approval survives a restart of the server and can then be given and used', async () => {
  const { call, task } = await connect();
  const { approval } = await call(refund({ amount_cents: 17 }));
  assert.ok(approval);
  await workspace.restart();
  await approver.approve(approval.id);
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const result = await client.callTool({ name: 'shop__refund_order', arguments: refund({ amount_cents: 17 }) });
  assert.ok(!result.isError, JSON.stringify(result.content));
});

/** @proves law-4.fatigue */
test('a denied call says so, and by whom; the same is not asked about again for a while, in no task, and something else is', async () => {
  const { call } = await connect();
  const { approval } = await call(refund({ amount_cents: 18 }));
  assert.ok(approval);
  await approver.api('POST /approvals/:id/deny', { params: { id: approval.id }, body: { reason: 'not this one' } });
  const elsewhere = await connect();
  for (const [where, again] of [
    ['here', await call(refund({ amount_cents: 18 }))],
    ['elsewhere', await elsewhere.call(refund({ amount_cents: 18 }))],
  ] as const) {
    assert.ok(!again.ran && !again.approval, 'nobody is asked');
    const said = JSON.stringify(again.result.content);
    assert.match(said, /approver@example\.test denied exactly this call .*before \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    assert.equal(said.includes('not this one'), where === 'here', 'why is said in the task that it was about');
  }
  assert.ok((await call(refund({ amount_cents: 19 }))).approval, 'another amount is another question');
});

/** @proves law-4.fatigue */
test('one move denies and suspends what asked: its task by whoever may deny, the agent by those who may stop it', async () => {
  const { call, task } = await connect();
  const { approval } = await call(refund({ amount_cents: 21 }));
  assert.ok(approval);
  const params = { id: approval.id };
  await assert.rejects(
    approver.api('POST /approvals/:id/deny', { params, body: { suspend: 'agent' } }),
    /approval\.suspend-agent/,
  );
  assert.equal((await workspace.operator('GET /approvals/:id', { params })).state, 'pending', 'all of it or nothing');
  await approver.api('POST /approvals/:id/deny', { params, body: { reason: 'too many', suspend: 'task' } });
  const stopped = await workspace.operator('GET /tasks/:id', { params: { id: task.id } });
  assert.match(stopped.suspended?.reason ?? '', /approver@example\.test denied apr_\w+: too many/);
  await assert.rejects(call({ order: 1042 }, 'get_order'));

  const other = await connect('agent-b');
  const { approval: second } = await other.call(refund({ amount_cents: 21 }));
  await workspace.operator('POST /approvals/:id/deny', {
    params: { id: second?.id ?? '' },
    body: { suspend: 'agent' },
  });
  assert.equal((await workspace.operator('GET /agents/:name', { params: { name: 'agent-b' } })).state, 'suspended');
  await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-b' }, body: { state: 'active' } });
});

/** @proves law-4.tier-4 */
test('tier 4 cannot be approved: it never waits', async () => {
  const { call } = await connect();
  const { approval, ran, result } = await call({ table: 'orders' }, 'drop_table');
  assert.ok(!approval && !ran);
  assert.equal((result._meta?.['gatehouse/decision'] as { code: string } | undefined)?.code, 'tier.prohibited');
});
