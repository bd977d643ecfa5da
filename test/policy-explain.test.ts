import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

let workspace: Workspace;
before(async () => {
  workspace = await startWorkspace();
  const cap =
    '@id("cap") @reason("finance does it") forbid(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > 500 };';
  await workspace.apply(manifests({ policies: { refunds: cap } }));
});
after(() => workspace.close());

const refund = (more: Record<string, unknown>) => ({
  template: 'refund-order',
  parameters: { order: 1042, customer: 'z' },
  tool: 'shop/refund_order',
  arguments: { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'x', ...more },
});
const explain = (body: unknown) => workspace.operator('POST /policy/explain', { body });

/** @proves policy.explained */
test('a call that nobody makes is decided, explained condition by condition, and leaves no trace', async () => {
  const head = async () => (await workspace.operator('GET /actions')).items.length;
  const before = await head();
  const waits = await explain({ call: refund({}) });
  assert.equal(waits.decision.effect, 'needs-approval');
  const capped = await explain({ call: refund({ amount_cents: 501 }) });
  assert.equal(capped.decision.code, 'policy.forbidden');
  const cap = capped.sides[0]?.policies.find(({ id }) => id === 'refunds#cap');
  assert.equal(cap?.applies, true);
  assert.deepEqual(cap?.clauses[0]?.values, { 'context.arguments.amount_cents': 501 });
  assert.match(
    capped.next[0] ?? '',
    /refunds#cap forbids it because "amount_cents" is more than 500 \(finance does it\)/,
  );
  const other = await explain({ call: refund({ order: 7 }) });
  assert.match(other.next[0] ?? '', /would permit it if .*"order" is the task’s parameter "order"/);
  const nothing = await explain({ call: { ...refund({}), tool: 'shop/get_ticket', arguments: { ticket: 1 } } });
  assert.match(nothing.next[0] ?? '', /under all, or ask|ask owner@example\.test|Ask owner@example\.test/);
  assert.equal(await head(), before);
});

test('an action of the record is explained with its own arguments; who may not look is refused', async () => {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({
    template: 'refund-order',
    parameters: { order: 1042, customer: 'z' },
    intent: 'test',
  });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  await client
    .callTool({ name: 'shop__refund_order', arguments: refund({ order: 7 }).arguments })
    .catch(() => undefined);
  await client.close();
  const { items } = await workspace.operator('GET /actions');
  const action = items.find(({ tool }) => tool === 'shop/refund_order');
  assert.ok(action);
  const answer = await explain({ action: action.actionId });
  assert.equal(answer.decision.code, 'policy.conditions-unmet');
  assert.equal(answer.recorded?.code, 'policy.conditions-unmet');
  assert.equal((answer.call.arguments as { order: number }).order, 7);
  await assert.rejects(explain({ action: 'act_none' }), { status: 404 });
  const approver = await workspace.person('approver@example.test');
  await assert.rejects(approver.api('POST /policy/explain', { body: { action: action.actionId } }), { status: 403 });

  const { code, stdout } = await gatehouse('policy', 'explain', action.actionId);
  assert.equal(code, 2);
  assert.match(stdout, /^deny {2}policy\.conditions-unmet {2}tier 3 {2}shop\/refund_order$/m);
  assert.match(stdout, /NO {2}.*"order" is the task’s parameter "order".*context\.arguments\.order = 7/);
  const supposed = await gatehouse(
    'policy',
    'explain',
    '--template',
    'refund-order',
    '--param',
    'order=1042',
    'customer=z',
    '--tool',
    'shop/refund_order',
    '--arg',
    'order=1042',
    'amount_cents=4',
    'currency=EUR',
    'reason=x',
  );
  assert.equal(supposed.code, 3, supposed.stdout);
});

test('what is supposed of things that do not exist is refused with what there is', async () => {
  await assert.rejects(explain({ call: { ...refund({}), template: 'refunds' } }), (error: Error) =>
    /There are .*refund-order/.test(error.message),
  );
  await assert.rejects(explain({ call: { ...refund({}), parameters: {} } }), (error: Error) =>
    /"order" \(integer\) is missing/.test(error.message),
  );
  const unknown = await explain({ call: { ...refund({}), tool: 'shop/none' } });
  assert.equal(unknown.decision.code, 'tool.unknown');
});

test('policy files are read page by page, the built-in ones first, by those who may', async () => {
  const page = (cursor?: string) =>
    workspace.operator('GET /policies', { query: { limit: '1', ...(cursor !== undefined && { cursor }) } });
  const first = await page();
  assert.deepEqual(
    first.items.map(({ name, builtIn, mode }) => [name, builtIn, mode]),
    [['gatehouse/baseline', true, 'enforce']],
  );
  const second = await page(first.cursor ?? '');
  assert.deepEqual(
    second.items.map(({ name }) => name),
    ['gatehouse/flow'],
  );
  const third = await page(second.cursor ?? '');
  assert.deepEqual([third.items.map(({ name }) => name), third.cursor], [['refunds'], null]);
  const file = (name: string) => workspace.operator('GET /policies/:name', { params: { name } });
  assert.match((await file('refunds')).cedar, /finance does it/);
  assert.match((await file('gatehouse/flow')).cedar, /@id\("untrusted-argument"\)/);
  await assert.rejects(file('constructor'), { status: 404 });
  const approver = await workspace.person('auditor@example.test');
  assert.equal((await approver.api('GET /policies')).items.length, 3);
  const { cookie } = await workspace.person('approver@example.test', { recovery: true });
  const refused = await fetch(`${workspace.url}/api/v1/policies`, { headers: { cookie } });
  assert.equal(refused.status, 403);
});

/** @proves console.policy-checked */
test('a policy that is only thought of is checked beside those in force, with the place of what is wrong, and changes nothing', async () => {
  const check = (cedar: string, name = 'more') => workspace.operator('POST /policy/check', { body: { name, cedar } });
  const on = (tool: string, rest: string) =>
    `forbid (principal, action == Gatehouse::Action::"shop/${tool}", resource)\nwhen { ${rest} };`;
  assert.deepEqual((await check(`@id("x") ${on('get_order', 'context.arguments.order == 7')}`)).problems, []);
  const [wrong] = (await check(`@id("x") ${on('get_order', 'context.arguments.order == "seven"')}`)).problems;
  assert.deepEqual([wrong?.severity, wrong?.name, wrong?.place?.line], ['error', 'more', 2]);
  const [unknown] = (await check(`@id("x") ${on('get_orders', 'true')}`)).problems;
  assert.equal(unknown?.severity, 'error');
  const [shadowed] = (await check(`@id("x") ${on('get_order', 'false')}`)).problems;
  assert.match(shadowed?.code ?? '', /^lint\./);
  await assert.rejects(check('', 'gatehouse/flow'), { status: 400 });
  await assert.rejects(check('x'.repeat(1_000_001)), (error: { status?: number }) =>
    [400, 413].includes(error.status ?? 0),
  );
  assert.equal((await workspace.operator('GET /policies')).items.length, 3);
});

function gatehouse(...args: string[]): Promise<{ code: number | null; stdout: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../packages/cli/src/main.ts'), ...args], {
    env: { ...process.env, NO_COLOR: '1', GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir },
  });
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout })));
}
