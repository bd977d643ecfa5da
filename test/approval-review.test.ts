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
let auditor: SignedInPerson;
let cli: ReturnType<typeof createCli>;
let call: Awaited<ReturnType<typeof connect>>;

before(async () => {
  workspace = await startWorkspace();
  await workspace.apply(manifests());
  approver = await workspace.person('approver@example.test');
  owner = await workspace.person('owner@example.test');
  auditor = await workspace.person('auditor@example.test');
  cli = createCli(workspace.dataDir, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  call = await connect('agent-a');
});
after(() => workspace.close());

async function connect(name: string, requestedBy?: string) {
  const agent = await workspace.agent(name);
  const task = await agent.startTask({
    template: 'all',
    intent: 'refunds of the day',
    ticket: 'SUP-301',
    ...(requestedBy && { requestedBy }),
  });
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
  const part = (proof: ApprovalProof) => proof.yes[0] as ApprovalProof['yes'][number];
  const args = (proof: ApprovalProof) => proof.arguments as Record<string, unknown>;
  const tampered: [string, (proof: ApprovalProof, file: File) => unknown][] = [
    ['format', (_, file) => delete file.approvals],
    ['format', (_, file) => (file.approvals = [other])],
    ['arguments', (proof) => (args(proof).amount_cents = 99)],
    ['arguments', (proof) => (proof.arguments = null)],
    ['subject', (proof) => (proof.subject = other.subject)],
    ['arguments', (proof) => (proof.argumentsSalt = other.argumentsSalt)],
    ['record', (proof) => (part(proof).evidence = yes.evidence)],
    ['record', (proof) => (part(proof).record = yes.record)],
    ['assertion', (proof) => (part(proof).evidence.response = yes.evidence.response)],
    ['key', (proof) => (part(proof).enrolment = yes.record)],
    ['key', (proof) => (part(proof).enrolment = null)],
  ];
  const forged = tampered.map(([, tamper], index) => {
    const file = read(first);
    tamper(file.approvals?.[0] as ApprovalProof, file);
    writeFileSync(join(workspace.dataDir, `forged-${index}.json`), JSON.stringify(file));
    return `forged-${index}.json`;
  });
  const erased = read(first);
  Object.assign(erased.approvals?.[0] ?? {}, { arguments: null, argumentsSalt: null });
  writeFileSync(join(workspace.dataDir, 'erased.json'), JSON.stringify(erased));
  const without = await offline.run('log', 'verify', '--receipt', 'erased.json', '--key', vkey);
  assert.equal(without.code, 0, without.stdout + without.stderr);
  assert.match(without.stdout, /: signed exactly this action; its arguments are erased$/m);
  const { code, stdout } = await offline.run('log', 'verify', '--json', '--receipt', ...forged);
  assert.equal(code, 1, stdout);
  const { approvals } = JSON.parse(stdout) as { approvals: { link: string }[] };
  assert.deepEqual(
    approvals.map(({ link }) => link),
    tampered.map(([link]) => link),
  );
});

test('what nobody has signed has no proof', async () => {
  const { id } = await call(refund({ amount_cents: 13 }));
  await assert.rejects(workspace.operator('GET /approvals/:id/proof', { params: { id } }), { status: 404 });
  await assert.rejects(workspace.operator('GET /approvals/:id/proof', { params: { id: 'apr_none' } }), { status: 404 });
  await owner.api('POST /approvals/:id/deny', { params: { id }, body: { reason: '' } });
});

const undo = { possible: 'partly', how: 'delete it in the channel', withinSeconds: 86_400 } as const;
/** Posting waits for a person here, and both tools are said to be undoable in part. */
const reviewed = () =>
  manifests().map((each) =>
    each.kind === 'ToolServer'
      ? {
          ...each,
          tools: {
            ...each.tools,
            post_message: { tier: 3 as const, effects: ['send' as const], undo },
            refund_order: { tier: 3 as const, effects: ['pay' as const], undo },
          },
        }
      : each,
  );
const post = (text: string) => ({ channel: 'support', text });

/** @proves approval.context, approval.undo */
test('an approver is told what it is like, what was said to it before, and whether it can be undone', async () => {
  await workspace.apply(reviewed());
  const { id: first } = await call(post('first'), 'post_message');
  await approver.approve(first);
  const { id } = await call(post('second'), 'post_message');
  const approval = await workspace.operator('GET /approvals/:id', { params: { id } });
  assert.deepEqual(approval.undo, { ...undo, isSaid: true, isDestructive: false });
  assert.ok(approval.risk.reasons.includes('it can be undone in part only'));
  assert.equal(approval.alone, null);
  const context = await owner.api('GET /approvals/:id/context', { params: { id } });
  assert.equal(context.similar?.approval, first);
  assert.deepEqual(context.similar?.arguments, post('first'));
  assert.deepEqual([context.ticket, context.changeRequest], [{ id: 'SUP-301', state: null }, null]);
  const { stdout } = await cli.run('approvals', 'show', id);
  assert.match(stdout, /Different in +text: "first" → "second"/);
  assert.match(stdout, /Ticket +SUP-301: no system has said its state/);
  assert.match(context.description ?? '', /channel/i);
  assert.equal(context.vouchedBy, null);
  assert.deepEqual([context.history.you.approved, context.history.others.approved], [0, 1]);
  assert.equal((await approver.api('GET /approvals/:id/context', { params: { id } })).history.you.approved, 1);
  // Another agent of the blueprint that has none of its own is compared with this one.
  const { id: others } = await (await connect('agent-b'))(post('third'), 'post_message');
  const { similar } = await owner.api('GET /approvals/:id/context', { params: { id: others } });
  assert.equal(similar?.agent, 'agent-a');
  // Its server marks it as destructive: what the operator says can't make that better.
  const { id: grave } = await call(refund({ amount_cents: 24 }));
  const destructive = await workspace.operator('GET /approvals/:id', { params: { id: grave } });
  assert.deepEqual([destructive.undo.possible, destructive.undo.isDestructive], ['no', true]);
  assert.match(destructive.alone ?? '', /undone/);
  for (const each of [id, others, grave])
    await owner.api('POST /approvals/:id/deny', { params: { id: each }, body: { reason: '' } });
});

/** @proves approval.list-policies */
test('a list is approved as a whole, its receipts say so, and what policies keep from a person is in none of theirs', async () => {
  const asked = [];
  for (const text of ['one', 'two', 'three']) asked.push((await call(post(text), 'post_message')).id);
  const listOf = async (ids: string[]) =>
    Promise.all(
      ids.toSorted().map(async (id) => {
        const { digest } = await workspace.operator('GET /approvals/:id', { params: { id } });
        return { approval: id, digest };
      }),
    );
  const list = await listOf(asked);
  const [first = ''] = asked;
  await workspace.apply([
    {
      kind: 'ControlPolicy',
      name: 'not-this-tool',
      cedar:
        'forbid (principal in Role::"approver", action == Action::"POST /approvals/:id/approve", resource) when { resource has tool && resource.tool == "shop/post_message" };',
    } as never,
  ]);
  await assert.rejects(approver.api('POST /approval-lists/options', { body: { approvals: list } }), { status: 403 });
  await workspace.apply([
    {
      kind: 'ControlPolicy',
      name: 'not-this-tool',
      cedar:
        'forbid (principal, action == Action::"POST /approvals/:id/approve", resource) when { resource has tool && resource.tool == "shop/none" };',
    } as never,
  ]);
  const { options } = await approver.api('POST /approval-lists/options', { body: { approvals: list } });
  const assertion = approver.passkey.assert(options as never, workspace.url);
  const refused = { approvals: list.slice(1), assertion };
  await assert.rejects(approver.api('POST /approval-lists/approve', { body: refused }), { status: 403 });
  const { items } = await approver.api('POST /approval-lists/approve', { body: { approvals: list, assertion } });
  assert.deepEqual(
    items.map(({ state }) => state),
    ['approved', 'approved', 'approved'],
  );
  assert.ok((await call(post('one'), 'post_message')).ran);
  assert.ok(!(await call(post('one'), 'post_message')).ran, 'each is used once');
  const { actionId } = await workspace.operator('GET /approvals/:id', { params: { id: first } });
  await cli.run('log', 'receipt', actionId, '-o', 'listed.json');
  const { code, stdout } = await cli.run('log', 'verify', '--receipt', 'listed.json');
  assert.equal(code, 0, stdout);
  assert.match(stdout, /approver@example\.test.*together with 2 others: signed exactly this action/);
});

/** @proves approval.statistics */
test('how people decide is counted: for security and auditors of everybody, for each person of themselves', async () => {
  const all = await auditor.api('GET /approval-statistics', {});
  const of = all.people.find((each) => each.of === 'approver@example.test');
  assert.ok(of && of.approved === of.decided && of.approved >= 3);
  assert.equal(of.remark, null, 'too few to say anything');
  assert.deepEqual(
    all.people.map((each) => each.of).sort(),
    ['approver@example.test', 'owner@example.test'],
    'people only',
  );
  assert.equal(
    all.tools.reduce((sum, each) => sum + each.decided, 0),
    all.whole.decided,
  );
  const mine = await approver.api('GET /approval-statistics/mine', {});
  assert.deepEqual(
    mine.people.map((each) => each.of),
    ['approver@example.test'],
  );
  await assert.rejects(approver.api('GET /approval-statistics', {}), { status: 403 });
  const none = await auditor.api('GET /approval-statistics', {
    query: { from: '2020-01-01T00:00:00Z', to: '2020-02-01T00:00:00Z' },
  });
  assert.equal(none.whole.decided, 0);
  await assert.rejects(
    auditor.api('GET /approval-statistics', { query: { from: '2021-01-01T00:00:00Z', to: '2020-01-01T00:00:00Z' } }),
    {
      status: 400,
    },
  );
});

/** @proves approval.inbox */
test('the inbox has the gravest first, page by page, and what is mine to answer', async () => {
  const other = await connect('agent-b', 'approver@example.test');
  for (const text of ['a', 'b', 'c']) await call(post(`inbox ${text}`), 'post_message');
  const { id: grave } = await call(refund({ amount_cents: 31 }));
  const { id: notTheirs } = await other(post('inbox of another'), 'post_message');
  const seen: string[] = [];
  const scores: number[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: Awaited<ReturnType<typeof owner.api<'GET /approval-inbox'>>> = await owner.api('GET /approval-inbox', {
      query: { limit: '2', ...(cursor !== '' && { cursor }) },
    });
    seen.push(...page.items.map(({ id }) => id));
    scores.push(...page.items.map(({ risk }) => risk.score));
    cursor = page.cursor;
  }
  assert.equal(seen[0], grave);
  assert.equal(new Set(seen).size, seen.length, 'none twice');
  assert.ok(seen.length >= 5 && seen.includes(notTheirs));
  assert.deepEqual(
    scores,
    scores.toSorted((a, b) => b - a),
  );
  const mine = await approver.api('GET /approval-inbox', { query: { mine: 'true', limit: '50' } });
  assert.ok(mine.items.length > 0 && !mine.items.some(({ id }) => id === notTheirs), 'asked for by them');
  await assert.rejects(owner.api('GET /approval-inbox', { query: { cursor: 'x' } }), { status: 400 });
  const shown = await cli.run('approvals', 'show', grave);
  assert.match(shown.stdout, /Can be undone +no: its server marks it as destructive[\s\S]*Last one approved/);
  const stats = await cli.run('approvals', 'stats');
  assert.match(stats.stdout, /person +approver@example\.test +\d+ +100 %/);
  assert.ok((await cli.run('approvals', 'stats', '--json')).json<{ people: unknown[] }>().people.length > 0);
});

/** @proves approval.looks */
test('who reads the arguments of what waits is in the record: once for each approval, its context with it, and each proof', async () => {
  const { id } = await call(refund({ amount_cents: 77 }));
  const { actionId } = await workspace.operator('GET /approvals/:id', { params: { id } });
  const looks = async () => {
    const query = { operation: 'log.read', person: 'auditor@example.test' };
    const { items } = await workspace.operator('GET /records', { query });
    return items.flatMap(({ record }) => record.changes.map((line) => [line, record.detail])).toReversed();
  };
  const before = await looks();
  for (let each = 0; each < 3; each++) {
    await auditor.api('GET /approvals/:id', { params: { id } });
    await auditor.api('GET /approvals/:id/context', { params: { id } });
  }
  assert.deepEqual((await looks()).slice(before.length), [[`${id} with its arguments: 1 shown`, actionId]]);
  await auditor.api('GET /approval-inbox', {});
  await auditor.api('GET /approvals', { query: { state: 'pending' } });
  await approver.approve(id);
  await auditor.api('GET /approvals/:id/proof', { params: { id } });
  assert.deepEqual(
    (await looks()).slice(before.length + 1).map(([line]) => line?.replace(/\d+ shown/, 'some shown')),
    ['waiting approvals, all: some shown', `proof of ${id}: some shown`],
  );
  // An agent that asks again for what it asked for itself has looked at nothing of others.
  const { items } = await workspace.operator('GET /records', { query: { operation: 'log.read' } });
  assert.ok(items.every(({ record }) => record.agent !== 'agent-a'));
});
