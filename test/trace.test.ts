import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(
    manifests().map((each) =>
      each.kind === 'Agent' && each.name === 'agent-a' ? { ...each, delegatesTo: { agents: ['agent-b'] } } : each,
    ),
  );
});
after(() => workspace.close());

/** @proves record.trace */
test('a trace leads from who asked over decisions, an approval and what was handed on to the end, each step with its place', async () => {
  const approver = await workspace.person('owner@example.test');
  const planner = await workspace.agent('agent-a');
  const worker = await workspace.agent('agent-b');
  const task = await planner.startTask({ template: 'all', intent: 'refund order 1042', ticket: 'SUP-1' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
  await client.callTool({ name: 'shop__drop_table', arguments: { table: 'orders' } });
  const refund = {
    name: 'shop__refund_order',
    arguments: { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' },
  };
  const asked = await client.callTool(refund);
  const approval = (asked._meta?.['gatehouse/approval'] as { id: string } | undefined)?.id ?? '';
  await approver.approve(approval);
  await client.callTool(refund);
  const handed = await worker.takeOver(await task.token(), { template: 'all', intent: 'look it up' });
  await client.close();
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'done' } });

  const trace = await workspace.operator('GET /tasks/:id/trace', { params: { id: task.id } });
  const { root } = trace;
  assert.equal(root.task.intent, 'refund order 1042');
  assert.equal(root.task.state, 'killed');
  assert.ok(root.endedAt !== null);
  const kinds = new Set(root.steps.map(({ kind }) => kind));
  for (const kind of ['start', 'credential', 'call', 'end'] as const)
    assert.ok(kinds.has(kind), `${kind}: ${[...kinds]}`);
  const call = (tool: string) => root.steps.find((step) => step.tool === tool && step.kind === 'call');
  assert.equal(call('shop/get_order')?.status, 'success');
  assert.equal(call('shop/drop_table')?.status, 'refused');
  const refunded = root.steps.find((step) => step.approval?.id === approval);
  assert.equal(refunded?.approval?.decidedBy, 'owner@example.test');
  assert.deepEqual(
    refunded?.approval?.votes.map(({ person, answer }) => ({ person, answer })),
    [{ person: 'owner@example.test', answer: 'yes' }],
  );
  assert.ok((refunded?.places.length ?? 0) >= 3);
  const times = root.steps.map(({ time }) => time);
  assert.deepEqual(times, times.toSorted());
  assert.deepEqual(
    root.children.map(({ task: { id, agent, state } }) => ({ id, agent, state })),
    [{ id: handed.id, agent: 'agent-b', state: 'killed' }],
  );
  const below = await workspace.operator('GET /tasks/:id/trace', { params: { id: handed.id } });
  assert.deepEqual(
    below.above.map(({ id }) => id),
    [task.id],
  );
  for (const step of root.steps)
    for (const { log, sequence } of step.places) {
      const params = { log, sequence: String(sequence) };
      const receipt = await workspace.operator('GET /records/:log/:sequence/receipt', { params });
      assert.ok(receipt.entry.includes(step.actionId));
    }
  await assert.rejects(workspace.operator('GET /tasks/:id/trace', { params: { id: 'tsk_none' } }), { status: 404 });
});
