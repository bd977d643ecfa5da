import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Who may say yes, as policies name it: through the gate, the API and the command line. */
let workspace: Workspace;
const people = new Map<string, SignedInPerson>();
const email = (name: string) => `${name}@example.test`;
const of = (name: string) => people.get(name) as SignedInPerson;

const person = (name: string, ...roles: ('auditor' | 'admin')[]): ManifestInput => ({
  kind: 'Person',
  email: email(name),
  displayName: name,
  roles,
});

const named = (rule: string) =>
  `@id("who") @tier("3") @approvers("${rule}") permit(principal, action == Gatehouse::Action::"shop/refund_order", resource) when { context.arguments.amount_cents > 100 };`;
const whole = (policy = named('two-from-finance')): ManifestInput[] => [
  ...manifests({ policies: { refunds: policy } }),
  person('fin-1', 'auditor'),
  person('fin-2', 'auditor'),
  person('on-call', 'auditor'),
  person('boss', 'admin'),
  { kind: 'Group', name: 'finance', members: [email('fin-1'), email('fin-2')] },
  {
    kind: 'OnCall',
    name: 'payments',
    zone: 'Europe/Berlin',
    people: [email('on-call')],
    startsOn: '2026-01-05',
    handOverAt: '09:00',
  },
  {
    kind: 'ApprovalRule',
    name: 'two-from-finance',
    steps: [{ approve: 2, from: ['group:finance'] }],
    exclude: ['requester', 'policy-author'],
  },
  { kind: 'ApprovalRule', name: 'on-call', steps: [{ approve: 1, from: ['on-call:payments'] }] },
];

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(whole());
  for (const name of ['fin-1', 'fin-2', 'on-call', 'boss', 'approver'])
    people.set(name, await workspace.person(email(name)));
});
after(() => workspace.close());

async function refund(amount: number) {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const call = async () => {
    const args = { order: 1042, amount_cents: amount, currency: 'EUR', reason: 'test' };
    const result = await client.callTool({ name: 'shop__refund_order', arguments: args });
    return { ran: !result.isError, approval: result._meta?.['gatehouse/approval'] as { id: string } | undefined };
  };
  return call;
}

/** @proves law-4.rule */
test('what a policy names is asked: two of a group, whatever other roles say, and then the call runs', async () => {
  const call = await refund(101);
  const { approval } = await call();
  assert.ok(approval);
  const params = { id: approval.id };
  await assert.rejects(of('approver').approve(approval.id), { status: 403 });
  await of('fin-1').approve(approval.id);
  assert.equal((await call()).ran, false);
  const progress = await workspace.operator('GET /approvals/:id/progress', { params });
  assert.deepEqual(progress.mayApprove, [email('fin-2')]);
  assert.equal(progress.rules[0]?.steps[0]?.missing, 1);
  await of('fin-2').approve(approval.id);
  assert.equal((await call()).ran, true);
});

/** @proves law-4.standing */
test('who leaves the group after the last yes has not said it when the call comes', async () => {
  const call = await refund(102);
  const { approval } = await call();
  assert.ok(approval);
  for (const name of ['fin-1', 'fin-2']) await of(name).approve(approval.id);
  await workspace.apply([{ kind: 'Group', name: 'finance', members: [email('fin-1'), email('approver')] }]);
  assert.equal((await call()).ran, false);
  await workspace.apply([{ kind: 'Group', name: 'finance', members: [email('fin-1'), email('fin-2')] }]);
});

test('a changed rule waits again; whoever is on call is asked where a rule says so', async () => {
  const call = await refund(103);
  const { approval } = await call();
  assert.ok(approval);
  for (const name of ['fin-1', 'fin-2']) await of(name).approve(approval.id);
  await workspace.apply(whole(named('on-call')));
  const other = await call();
  assert.ok(!other.ran && other.approval && other.approval.id !== approval.id);
  await assert.rejects(of('fin-1').approve(other.approval.id), { status: 403 });
  await of('on-call').approve(other.approval.id);
  assert.equal((await call()).ran, true);
  await workspace.apply(whole());
});

test('where it is excluded, whoever wrote the policy says no yes to what it decides', async () => {
  const text = `${named('two-from-finance')}\n// looked at again`;
  const boss = of('boss');
  await boss.api('POST /apply', { body: { manifests: [{ kind: 'Policy', name: 'refunds', cedar: text }] } });
  await workspace.apply([{ kind: 'Group', name: 'finance', members: ['fin-1', 'fin-2', 'boss'].map(email) }]);
  const call = await refund(104);
  const { approval } = await call();
  assert.ok(approval);
  const { policyAuthors } = await workspace.operator('GET /approvals/:id', { params: { id: approval.id } });
  assert.deepEqual(policyAuthors, [email('boss')]);
  await assert.rejects(boss.approve(approval.id), { status: 403 });
  for (const name of ['fin-1', 'fin-2']) await of(name).approve(approval.id);
  assert.equal((await call()).ran, true);
  await workspace.apply(whole());
});

test('a deputy says yes in the place of whoever is away, whom the person has named, or an admin with their word', async () => {
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const params = { email: email('fin-2') };
  const body = { deputy: email('on-call'), until, reason: 'away' };
  await assert.rejects(of('fin-1').api('POST /people/:email/deputies', { params, body }), { status: 403 });
  await assert.rejects(workspace.operator('POST /people/:email/deputies', { params, body }), { status: 403 });
  const made = await of('boss').api('POST /people/:email/deputies', { params, body });
  assert.equal(made.state, 'proposed');
  await assert.rejects(of('boss').api('POST /deputies/:id/options', { params: { id: made.id } }), { status: 403 });
  const { options } = await of('fin-2').api('POST /deputies/:id/options', { params: { id: made.id } });
  const assertion = of('fin-2').passkey.assert(options as never, workspace.url);
  await of('fin-2').api('POST /deputies/:id/confirm', { params: { id: made.id }, body: { assertion } });
  const call = await refund(105);
  const { approval } = await call();
  assert.ok(approval);
  await of('on-call').approve(approval.id);
  await of('fin-1').approve(approval.id);
  const { items } = await workspace.operator('GET /deputies', { query: { person: email('on-call') } });
  assert.deepEqual(
    items.map(({ id, state }) => [id, state]),
    [[made.id, 'in-force']],
  );
  // Withdrawn before the call: what was said in the place of somebody counts no more.
  await of('fin-2').api('DELETE /deputies/:id', { params: { id: made.id } });
  assert.equal((await call()).ran, false);
});

test('a rule that is not there is an error where it is named, and the explanation of a call says which applies', async () => {
  await assert.rejects(workspace.apply(whole(named('two-from-finanze'))), /no approval rule "two-from-finanze"/);
  await assert.rejects(
    workspace.apply([{ kind: 'ApprovalRule', name: 'nobody', steps: [{ from: ['group:finanze'] }] }]),
    /There is no Group "finanze"/,
  );
  const explained = await workspace.operator('POST /policy/explain', {
    body: {
      call: {
        agent: 'agent-a',
        template: 'all',
        tool: 'shop/refund_order',
        arguments: { order: 1, amount_cents: 500, currency: 'EUR', reason: 'x' },
      },
    },
  });
  assert.deepEqual(explained.decision.obligations?.approvers, ['two-from-finance']);
  assert.match(explained.next[0] ?? '', /by the rule "two-from-finance" .* needs 2 of group:finance/);
  const { items } = await workspace.operator('GET /on-call', {});
  assert.deepEqual(
    items.map(({ name, now }) => [name, now]),
    [['payments', email('on-call')]],
  );
});

test('the command line shows how far it is, who is on call and who is whose deputy', async () => {
  const call = await refund(106);
  const { approval } = await call();
  assert.ok(approval);
  await of('fin-1').approve(approval.id);
  const shown = await cli('approvals', 'show', approval.id);
  assert.match(shown, /Rule two-from-finance: not met yet/);
  assert.match(shown, /2 of group:finance: 1 missing/);
  assert.match(shown, /yes of fin-1@example\.test \(group:finance\)/);
  assert.match(shown, /Can say yes now: fin-2@example\.test/);
  assert.match(await cli('on-call', '--days', '3'), /payments\s+on-call@example\.test/);
  assert.deepEqual(JSON.parse(await cli('deputies', 'list', '--json')), { items: [] });
  const { items } = JSON.parse(await cli('deputies', 'list', '--all', '--json'));
  assert.equal(items[0].state, 'withdrawn');
});

function cli(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../packages/cli/src/main.ts'), ...args], {
    env: { ...process.env, NO_COLOR: '1', GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir },
  });
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  return new Promise((resolve) => child.once('close', () => resolve(stdout)));
}
