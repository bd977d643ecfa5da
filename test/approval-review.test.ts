import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ApprovalProof } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { createCli } from '../packages/cli/test/support.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** What approvers are shown, what they sign, and what proves it afterwards. */
let workspace: Workspace;
let approver: SignedInPerson;
let owner: SignedInPerson;
let cli: ReturnType<typeof createCli>;
let call: Awaited<ReturnType<typeof connect>>;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  approver = await workspace.person('approver@example.test');
  owner = await workspace.person('owner@example.test');
  cli = createCli(workspace.dataDir, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  call = await connect('agent-a');
});
after(() => workspace.close());

async function connect(name: string) {
  const agent = await workspace.agent(name);
  const task = await agent.startTask({ template: 'all', intent: 'refunds of the day' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  return async (args: Record<string, unknown>, tool = 'refund_order') => {
    const result = await client.callTool({ name: `shop__${tool}`, arguments: args });
    const approval = result._meta?.['gatehouse/approval'] as { id: string } | undefined;
    return { result, id: approval?.id ?? '', ran: !result.isError };
  };
}

const refund = (more: Record<string, unknown> = {}) => ({
  order: 1042,
  amount_cents: 10,
  currency: 'EUR',
  reason: 'test',
  ...more,
});

/** @proves approval.receipt */
test('a receipt says who approved what ran, verifies without the server, and not after any change', async () => {
  const receipts: string[] = [];
  for (const amount_cents of [11, 12]) {
    const { id } = await call(refund({ amount_cents }));
    await approver.approve(id);
    assert.ok((await call(refund({ amount_cents }))).ran);
    const { actionId } = await workspace.operator('GET /approvals/:id', { params: { id } });
    const file = `receipt-${amount_cents}.json`;
    const made = await cli.run('log', 'receipt', actionId, '-o', file);
    assert.equal(made.code, 0, made.stderr);
    receipts.push(file);
  }
  const [first = '', second = ''] = receipts;
  const offline = createCli(workspace.dataDir, { GATEHOUSE_URL: 'http://127.0.0.1:9' });
  const vkey = (await workspace.operator('GET /logs')).items[0]?.vkey ?? '';
  const proven = await offline.run('log', 'verify', '--receipt', first, '--key', vkey);
  assert.equal(proven.code, 0, proven.stdout + proven.stderr);
  assert.match(
    proven.stdout,
    /^Approved .* by approver@example\.test, with passkey \S+, at .*: signed exactly this action with these arguments$/m,
  );

  type File = { approvals?: ApprovalProof[] };
  const read = (file: string) => JSON.parse(readFileSync(join(workspace.dataDir, file), 'utf8')) as File;
  const other = read(second).approvals?.[0] as ApprovalProof;
  const [yes] = other.yes;
  assert.ok(yes);
  const brokenBy = async (tamper: (proof: ApprovalProof, file: File) => void) => {
    const file = read(first);
    tamper(file.approvals?.[0] as ApprovalProof, file);
    writeFileSync(join(workspace.dataDir, 'forged.json'), JSON.stringify(file));
    const { code, stdout } = await offline.run('log', 'verify', '--receipt', 'forged.json', '--json');
    assert.equal(code, 1, stdout);
    return (JSON.parse(stdout) as { approvals: { link: string }[] }).approvals.map(({ link }) => link);
  };
  const part = (proof: ApprovalProof) => proof.yes[0] as ApprovalProof['yes'][number];
  assert.deepEqual(await brokenBy((_, file) => delete file.approvals), ['format'], 'left out');
  const args = (proof: ApprovalProof) => proof.subject?.arguments as Record<string, unknown>;
  assert.deepEqual(await brokenBy((proof) => (args(proof).amount_cents = 99)), ['subject']);
  assert.deepEqual(await brokenBy((proof) => (proof.subject = other.subject)), ['subject']);
  assert.deepEqual(await brokenBy((proof) => (proof.argumentsSalt = other.argumentsSalt)), ['arguments']);
  assert.deepEqual(await brokenBy((proof) => (part(proof).evidence = yes.evidence)), ['record']);
  assert.deepEqual(await brokenBy((proof) => (part(proof).record = yes.record)), ['record']);
  assert.deepEqual(await brokenBy((proof) => (part(proof).evidence.response = yes.evidence.response)), ['assertion']);
  assert.deepEqual(await brokenBy((proof) => (part(proof).enrolment = yes.record)), ['key']);
  assert.deepEqual(await brokenBy((proof) => (part(proof).enrolment = null)), ['key']);
  assert.deepEqual(await brokenBy((_, file) => (file.approvals = [other])), ['format']);
});

test('what nobody has signed has no proof', async () => {
  const { id } = await call(refund({ amount_cents: 13 }));
  await assert.rejects(workspace.operator('GET /approvals/:id/proof', { params: { id } }), { status: 404 });
  await assert.rejects(workspace.operator('GET /approvals/:id/proof', { params: { id: 'apr_none' } }), { status: 404 });
  await owner.api('POST /approvals/:id/deny', { params: { id }, body: { reason: '' } });
});
