import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BudgetDetail } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { createCli } from '../packages/cli/test/support.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** The guide to budgets, followed on a running server: its manifests and its commands are the test's. */
const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'how-to', 'limit-what-agents-spend.md'), 'utf8');
const block = (language: string, at: number) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))][at]?.[1] ?? '';
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-budgets-'));

let workspace: Workspace;
let approver: SignedInPerson;
let client: Client;
let cli: ReturnType<typeof createCli>;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  approver = await workspace.person('approver@example.test');
  const agent = await workspace.agent('agent-a');
  client = new Client({ name: 'budgets', version: '1' });
  await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'refunds' })));
  cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  writeFileSync(join(directory, 'budgets.yaml'), block('yaml', 0));
});
after(async () => {
  await client.close();
  await workspace.close();
  rmSync(directory, { recursive: true, force: true });
});

const refund = (amount_cents: number) =>
  client.callTool({
    name: 'shop__refund_order',
    arguments: { order: 1042, amount_cents, currency: 'EUR', reason: 'arrived broken' },
  });
async function gatehouse(line: string) {
  const ended = await cli.run(...line.replace(/^gatehouse /, '').split(' '));
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

test('without a budget the list says so, and what to read', async () => {
  const { stdout, stderr } = await gatehouse('gatehouse budget list');
  assert.equal(stdout, '');
  assert.match(stderr, /There are none/);
});

test('the guide: applied, used, refused, shown', async () => {
  const [apply = ''] = block('sh', 0).trim().split('\n');
  assert.match((await gatehouse(apply)).stdout, /\+ Budget refunds-per-day[\s\S]*Applied: 2 created/);

  const asked = await refund(4_000);
  const approval = asked._meta?.['gatehouse/approval'] as { id: string } | undefined;
  await approver.approve(approval?.id ?? '');
  assert.ok(!(await refund(4_000)).isError);

  const refused = await refund(46_001);
  const said = JSON.stringify(refused.content);
  assert.match(
    said,
    /Budget refunds-per-day: 40\.00 of 500\.00 EUR used today for agent agent-a; this call needs 460\.01/,
  );
  assert.equal((refused._meta?.['gatehouse/decision'] as { code?: string } | undefined)?.code, 'budget.exceeded');
  assert.equal(refused._meta?.['gatehouse/approval'], undefined, 'nobody is asked');

  const [list = '', show = '', json = ''] = block('sh', 1).trim().split('\n');
  assert.match(
    (await gatehouse(list)).stdout,
    /refunds-per-day +at most 20 calls and 500\.00 EUR per agent and day \(Europe\/Berlin\) +refused +1 +8 %/,
  );
  assert.match((await gatehouse(show)).stdout, /agent agent-a +1 of 20 calls, 40\.00 of 500\.00 EUR/);
  const detail = (await gatehouse(json)).json<BudgetDetail>();
  assert.deepEqual(detail.items[0]?.used, [
    { limit: 'count', used: '1', of: '20', unit: 'calls' },
    { limit: 'sum', used: '40.00', of: '500.00', unit: 'EUR' },
  ]);
});

test('what is used outlives a restart, a new task and a higher limit', async () => {
  await workspace.restart();
  const agent = await workspace.agent('agent-a');
  await client.close();
  client = new Client({ name: 'budgets', version: '1' });
  await client.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'more refunds' })));
  assert.match(JSON.stringify((await refund(46_001)).content), /40\.00 of 500\.00 EUR used/);
  writeFileSync(join(directory, 'budgets.yaml'), block('yaml', 0).replace('max: 50000', 'max: 50001'));
  await gatehouse('gatehouse apply -f budgets.yaml');
  assert.match(JSON.stringify((await refund(46_002)).content), /40\.00 of 500\.01 EUR used/);
  assert.ok((await refund(46_001))._meta?.['gatehouse/approval'], 'it fits now, and a person is asked');
});

test('the pages of what is used go on where the last one ended', async () => {
  const budget = block('yaml', 0).split('---')[0]?.replace('per: [agent]', 'per: [{ argument: order }]') ?? '';
  writeFileSync(
    join(directory, 'budgets.yaml'),
    budget.replace('refund_order', 'get_order').replace(/ {2}sum:.*\n/, ''),
  );
  await gatehouse('gatehouse apply -f budgets.yaml');
  for (const order of [1001, 1002, 1002, 1042])
    assert.ok(!(await client.callTool({ name: 'shop__get_order', arguments: { order } })).isError);
  const show = (cursor?: string) =>
    workspace.operator('GET /budgets/:name', {
      params: { name: 'refunds-per-day' },
      query: { limit: '2', ...(cursor !== undefined && { cursor }) },
    });
  const first = await show();
  assert.equal(first.counters, 3);
  assert.equal(first.items[0]?.for, 'order 1002');
  const second = await show(first.cursor ?? '');
  assert.equal(second.cursor, null);
  assert.deepEqual([...first.items, ...second.items].map((each) => each.for).sort(), [
    'order 1001',
    'order 1002',
    'order 1042',
  ]);
  await assert.rejects(show('nonsense'), /cursor/);
  const missing = await cli.run('budget', 'show', 'nothing');
  assert.deepEqual([missing.code !== 0, /no budget "nothing"/.test(missing.stderr)], [true, true]);
});
