import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BaselineView } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { createCli } from '../packages/cli/test/support.ts';
import { manifests } from './support/fixtures.ts';
import { replayOf } from './support/replay-lines.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-usual-'));

let workspace: Workspace;
let approver: SignedInPerson;
let client: Client;
let cli: ReturnType<typeof createCli>;

/** Learned in one day, so that it can be tried within one. */
const soon = manifests().map((each) =>
  each.kind === 'Environment' && each.name === 'production' ? { ...each, baseline: { days: 1, calls: 20 } } : each,
);

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(soon);
  approver = await workspace.person('approver@example.test');
  const agent = await workspace.agent('agent-a');
  client = new Client({ name: 'usual', version: '1' });
  await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'the daily work' })));
  cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
});
after(async () => {
  await client.close();
  await workspace.close();
  rmSync(directory, { recursive: true, force: true });
});

const call = (name: string, args: Record<string, unknown> = {}) =>
  client.callTool({ name: `shop__${name}`, arguments: args });
const ALL = { customer: 'customer-z' };
const message = (text: string) => call('post_message', { channel: 'support', text });

async function gatehouse(...args: string[]) {
  const ended = await cli.run(...args);
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}
const baseline = async () => (await gatehouse('agent', 'baseline', 'agent-a', '--json')).json<BaselineView>();

/** @proves baseline.raises, baseline.marks */
test('an agent is learned at the gate; what it then does for the first time is marked, and waits where it could do harm', async () => {
  assert.match((await gatehouse('agent', 'baseline', 'agent-a')).stderr, /has not called a tool yet/);
  for (let at = 0; at < 19; at++) assert.ok(!(await call('get_order', { order: 1042 })).isError);
  assert.match((await gatehouse('agent', 'baseline', 'agent-a')).stdout, /learning: 1 of 1 days, 19 of 20 calls/);
  // While it is learned a new tool is none that waits.
  assert.ok(!(await message('first')).isError);
  assert.equal((await baseline()).state, 'known');
  assert.ok(!(await message('second')).isError);

  assert.ok(!(await call('list_orders', ALL)).isError);
  const asked = await call('export_customers', { destination: 'crm.example.test' });
  assert.match(
    JSON.stringify(asked.content),
    /Unusual for this agent: agent-a has called tools 21 times in 1 day, and never shop\/export_customers\./,
  );
  const approval = asked._meta?.['gatehouse/approval'] as { id: string } | undefined;
  const shown = await gatehouse('approvals', 'show', approval?.id ?? '');
  assert.match(shown.stdout, /Unusual for this agent/);

  const found = await gatehouse('log', 'search', '--agent', 'agent-a', '--result', 'anomalous', '--json');
  const { items } = found.json<{ items: { tool: string; status: string; actionId: string }[] }>();
  assert.deepEqual(
    items.map(({ tool, status }) => [tool, status]),
    [['shop/list_orders', 'anomalous']],
  );
  const explained = await gatehouse('policy', 'explain', items[0]?.actionId ?? '');
  assert.match(explained.stdout, /gatehouse\/baseline#unusual-call/);
  assert.match(explained.stdout, /the call is unlike what the agent usually does/);
});

/** @proves baseline.reset */
test('security accepts what is usual; who may not is refused, and so is an agent’s approver', async () => {
  assert.equal((await baseline()).tools.find(({ tool }) => tool === 'shop/list_orders')?.unusual?.calls, 1);
  for (const route of ['accept', 'reset'] as const) {
    const body = { reason: 'looks fine', ...(route === 'accept' && { tool: 'shop/list_orders' }) };
    await assert.rejects(approver.api(`POST /agents/:name/baseline/${route}`, { params: { name: 'agent-a' }, body }), {
      status: 403,
    });
  }
  assert.equal((await cli.run('agent', 'baseline', 'agent-a', '--reset')).code, 64, 'why was not said');
  const unknown = await cli.run('agent', 'baseline', 'agent-a', '--accept', 'shop/get_order', '--reason', 'x');
  assert.match(unknown.stderr, /Nothing unusual of shop\/get_order/);
  await gatehouse('agent', 'baseline', 'agent-a', '--accept', 'shop/list_orders', '--reason', 'the weekly report');
  assert.ok(!(await call('list_orders', ALL)).isError);
  const { items } = await workspace.operator('GET /records', { query: { agent: 'agent-a', limit: '2' } });
  assert.ok(items.every(({ record }) => !record.labels.includes('anomalous')));
  const [accepted] = (await workspace.operator('GET /records', { query: { operation: 'agent.baseline.accept' } }))
    .items;
  assert.match(accepted?.record.changes[0] ?? '', /shop\/list_orders is usual for agent-a: the weekly report/);
});

/** @proves baseline.marks */
test('a replay decides recorded calls as unusual as they were', async () => {
  const token = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
  const { result } = await replayOf(workspace.url, { authorization: `Operator ${token}` }, { manifests: [] });
  assert.deepEqual([result.decidedOtherwise.count, result.unchanged === result.replayed], [0, true]);
});

/** @proves baseline.reset */
test('what was learned outlives the server; begun anew it is gone, and the agent is learned again', async () => {
  const before = (await baseline()).whole?.calls;
  await workspace.restart();
  assert.equal((await baseline()).whole?.calls, before);
  await gatehouse('agent', 'baseline', 'agent-a', '--reset', '--reason', 'other work');
  const after = await baseline();
  assert.deepEqual([after.state, after.whole], ['learning', null]);
});
