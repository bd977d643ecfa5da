import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { GrantRequest } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { createCli } from '../packages/cli/test/support.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** The guide to standing grants, followed on a running server: its manifests and its commands are the test's. */
const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'how-to', 'allow-similar-calls.md'), 'utf8');
const block = (language: string, at: number) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))][at]?.[1] ?? '';
const directory = mkdtempSync(join(tmpdir(), 'gatehouse-grants-'));

let workspace: Workspace;
let approver: SignedInPerson;
let cli: ReturnType<typeof createCli>;
let agent: Awaited<ReturnType<Workspace['agent']>>;
const clients: Client[] = [];

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  approver = await workspace.person('approver@example.test');
  agent = await workspace.agent('agent-a');
  cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  writeFileSync(join(directory, 'grantable.yaml'), block('yaml', 0));
});
after(async () => {
  for (const client of clients) await client.close();
  await workspace.close();
  rmSync(directory, { recursive: true, force: true });
});

async function connect(template = 'refund-order') {
  const task = await agent.startTask({ template, intent: 'refunds of one ticket' });
  const client = new Client({ name: 'grants', version: '1' });
  clients.push(client);
  await client.connect(createMcpTransport(task));
  const refund = async (change: Record<string, unknown> = {}) => {
    const args = { order: 1042, amount_cents: 10, currency: 'EUR', reason: 'broken', ...change };
    const result = await client.callTool({ name: 'shop__refund_order', arguments: args });
    const asked = result._meta?.['gatehouse/approval'] as { id: string } | undefined;
    return { ran: !result.isError, asked: asked?.id ?? '' };
  };
  return { task, refund };
}

async function give(approval: string, grant: GrantRequest) {
  const params = { id: approval };
  const asked = await approver.api('POST /approvals/:id/options', { params, body: { grant } });
  const assertion = approver.passkey.assert(asked.options as never, workspace.url);
  await approver.api('POST /approvals/:id/approve', { params, body: { assertion, grant: asked.grant } });
  return `grn_${approval.slice(4)}`;
}
const gatehouse = async (line: string, grant = '') => {
  const words = line.replace(/^gatehouse /, '').replaceAll(/grn_\w+/g, grant);
  const ended = await cli.run(...(words.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', '')));
  assert.equal(ended.code, 0, ended.stderr);
  return ended.stdout;
};
const [list = '', show = '', revoke = ''] = block('sh', 1).trim().split('\n');
const WITHIN: GrantRequest = { calls: 3, seconds: 600, bounds: [{ at: ['amount_cents'], min: '1', max: '20' }] };

test('until a policy says so nothing can be granted, and the call itself still can be approved', async () => {
  const { refund } = await connect('all');
  const { asked } = await refund();
  await assert.rejects(give(asked, WITHIN), /No policy lets more calls like this be granted/);
  await approver.approve(asked);
  assert.ok((await refund()).ran);
});

/** @proves law-4.grant-exact */
test('the guide: allowed, given with one signature, used within its bounds, shown, revoked', async () => {
  const [apply = ''] = block('sh', 0).trim().split('\n');
  assert.match(await gatehouse(apply), /Template refund-order/);
  const { refund, task } = await connect();
  const { asked } = await refund();
  const id = await give(asked, WITHIN);
  assert.ok((await refund()).ran, 'the call that was approved');
  assert.ok((await refund({ amount_cents: 20 })).ran);
  for (const change of [{ amount_cents: 21 }, { currency: 'USD' }, { order: 1001 }, { reason: 'other' }]) {
    const other = await refund(change);
    assert.ok(!other.ran && other.asked, JSON.stringify(change));
  }
  const elsewhere = await connect();
  assert.ok(!(await elsewhere.refund({ amount_cents: 20 })).ran, 'another task');

  assert.match(await gatehouse(list), new RegExp(`${id} +active +agent-a +shop/refund_order +1 of 3 `));
  assert.match(await gatehouse(show, id), /amount_cents: 1 to 20/);
  const found = await workspace.operator('GET /actions', { query: { approval: id } });
  const [covered] = found.items.filter(({ tool }) => tool === 'shop/refund_order');
  assert.match(
    covered?.decision?.reason ?? '',
    new RegExp(`The standing grant ${id} of approver@example.test covers it`),
  );
  assert.equal(covered?.task, task.id);

  assert.match(await gatehouse(revoke, id), /revoked/);
  const after = await refund({ amount_cents: 20 });
  assert.ok(!after.ran && after.asked, 'it waits again');
});

/** @proves law-4.grant-count */
test('calls that race get exactly as many as were granted; the next one waits for a person', async () => {
  const { refund } = await connect();
  const id = await give((await refund()).asked, WITHIN);
  assert.ok((await refund()).ran);
  const raced = await Promise.all(Array.from({ length: 12 }, (_, at) => refund({ amount_cents: 1 + (at % 20) })));
  assert.equal(raced.filter(({ ran }) => ran).length, 3);
  assert.ok(raced.every(({ ran, asked }) => ran || asked));
  assert.equal((await workspace.operator('GET /grants/:id', { params: { id } })).state, 'used-up');
});

/** @proves law-4.grant-policy */
test('what a budget or the built-in rules ask about is not covered, and a change of policy ends it', async () => {
  const { refund } = await connect();
  await give((await refund()).asked, { ...WITHIN, calls: 20 });
  assert.ok((await refund()).ran);
  assert.ok((await refund({ amount_cents: 2 })).ran);
  await workspace.apply([
    {
      kind: 'Policy',
      name: 'p',
      cedar: '@tier("3") forbid (principal, action == Gatehouse::Action::"shop/refund_order", resource);',
    },
  ]);
  const { asked, ran } = await refund({ amount_cents: 2 });
  assert.ok(!ran, 'another version of the policies');
  await assert.rejects(give(asked, WITHIN), /No policy lets more calls/, 'what raises it has to say so, too');
  await workspace.apply([
    {
      kind: 'Policy',
      name: 'p',
      cedar: `@tier("3") @grantable("2 calls within 10 min") forbid (principal, action == Gatehouse::Action::"shop/refund_order", resource);`,
    },
    {
      kind: 'Budget',
      name: 'b',
      tools: ['shop/refund_order'],
      per: ['task'],
      window: 'task',
      over: 'approval',
      limit: { count: 2 },
    },
  ]);
  const next = await connect();
  const first = await next.refund();
  await assert.rejects(give(first.asked, WITHIN), /at most 2 calls within 600 s/, 'the least counts');
  await give(first.asked, { ...WITHIN, calls: 2 });
  assert.ok((await next.refund()).ran);
  assert.ok((await next.refund({ amount_cents: 2 })).ran, 'covered');
  const over = await next.refund({ amount_cents: 3 });
  assert.ok(!over.ran && over.asked, 'beyond the budget a person is asked');
  await assert.rejects(give(over.asked, { ...WITHIN, calls: 1 }), /No policy lets more calls/);
});
