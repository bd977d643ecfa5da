import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentClient, AgentTask } from '@gatehouse/sdk';
import { type RawServer, startRawServer } from '../packages/server/src/gate/mcp/testing/raw-server.ts';
import type { JsonObject } from '../packages/server/src/platform/index.ts';
import { createCaller, type McpCaller } from './chaos/house.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** Calls that wait as MCP tasks, at a whole server: over a restart, with results that are masked or held, and when what was asked changes. */
const EMAIL = 'anna@example.com';
const tasksExtension = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

let workspace: Workspace;
let upstream: RawServer;
let agent: AgentClient;
let approver: SignedInPerson;
let caller: McpCaller;
let ran: string[] = [];

const tool = (name: string) => ({ name, inputSchema: { type: 'object', properties: { id: { type: 'string' } } } });
const grave = { tier: 3 as const, effects: ['pay' as const] };

before(async () => {
  upstream = await startRawServer({
    era: '2026-07-28',
    tools: ['pay', 'export'].map(tool),
    answer: ({ params }): JsonObject => {
      const { name, arguments: args } = params as { name: string; arguments: { id: string } };
      ran.push(args.id);
      const rows = name === 'export' ? Array.from({ length: 60 }, () => ({ email: EMAIL })) : [];
      const content = [{ type: 'text', text: `paid ${EMAIL}` }];
      return { result: { resultType: 'complete', content, ...(rows.length > 0 && { structuredContent: { rows } }) } };
    },
  });
  workspace = await startWorkspace();
  const server: ManifestInput = {
    kind: 'ToolServer',
    name: 'till',
    environments: ['production'],
    transport: { type: 'http', url: upstream.url, allowPrivateAddress: true },
    tools: { pay: grave, export: { ...grave, hold: { items: 50 } } },
  };
  const all: ManifestInput = { kind: 'Template', name: 'all', mask: ['personal'], allow: [{ tools: ['till/*'] }] };
  const others = manifests().filter(({ kind }) => kind !== 'Template');
  const refund: ManifestInput = { kind: 'Template', name: 'refund-order', allow: [{ tools: ['till/pay'] }] };
  await workspace.apply([...others, server, all, refund]);
  agent = await workspace.agent('agent-a');
  approver = await workspace.person('approver@example.test');
  caller = createCaller(workspace.url);
});
after(async () => {
  await caller?.close();
  await workspace?.close();
  await upstream?.close();
});

async function begin(name = 'pay') {
  ran = [];
  const task = await agent.startTask({ template: 'all', intent: 'pay' });
  const made = await call(task, 'tools/call', { name: `till__${name}`, arguments: { id: name } });
  return { task, taskId: String(made?.taskId), approval: approvalIn(made) };
}

async function call(task: AgentTask, method: string, params: JsonObject) {
  return (await caller.send(task, method, params, tasksExtension))?.result as JsonObject | undefined;
}

const approvalIn = (of: JsonObject | undefined) =>
  String(((of?._meta as JsonObject | undefined)?.['gatehouse/approval'] as JsonObject | undefined)?.id);

async function until(task: AgentTask, taskId: string, enough: (now: JsonObject) => boolean): Promise<JsonObject> {
  for (let turn = 0; turn < 1_200; turn++) {
    const now = await call(task, 'tasks/get', { taskId });
    if (now && enough(now)) return now;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assert.fail(`nothing has become of ${taskId}`);
}
const isOver = ({ status }: JsonObject) => status !== 'working';

/** @proves waiting.mcp-task */
test('a task outlives a restart, runs once, and gives what a direct answer would: masked, labelled, on record', async () => {
  const { task, taskId, approval } = await begin();
  await workspace.restart();
  await approver.approve(approval);
  const done = await until(task, taskId, isOver);
  assert.equal(done.status, 'completed', JSON.stringify(done));
  assert.match(JSON.stringify(done.result), /paid \[email #\w{7}\]/);
  assert.ok(!JSON.stringify(done).includes(EMAIL));
  assert.deepEqual(ran, ['pay']);
  const { actionId } = await workspace.operator('GET /approvals/:id', { params: { id: approval } });
  const { records } = await workspace.operator('GET /actions/:id', { params: { id: actionId } });
  const kinds = records.map(({ record }) => record.kind);
  assert.deepEqual(
    ['dispatch', 'outcome'].map((kind) => kinds.filter((each) => each === kind).length),
    [1, 1],
  );
  const outcome = records.find(({ record }) => record.kind === 'outcome')?.record;
  assert.ok(outcome && outcome.labels.length > 0, 'what the task has read is noted');
});

test('a result that is held is waited for in the same task, and the call does not run again', async () => {
  const { task, taskId, approval } = await begin('export');
  await approver.approve(approval);
  const held = await until(task, taskId, (now) => isOver(now) || ![approval, 'undefined'].includes(approvalIn(now)));
  assert.match(String(held.statusMessage), /waits for the result/, JSON.stringify(held));
  await approver.approve(approvalIn(held));
  const done = await until(task, taskId, isOver);
  assert.equal(done.status, 'completed', JSON.stringify(done));
  assert.equal(((done.result as JsonObject).structuredContent as { rows: unknown[] }).rows.length, 60);
  assert.ok(!JSON.stringify(done).includes(EMAIL));
  assert.deepEqual(ran, ['export']);
});

test('what people were asked under other policies does not run, and the question is taken back', async () => {
  const { task, taskId, approval } = await begin();
  await workspace.apply([
    {
      kind: 'Policy',
      name: 'new',
      cedar: 'forbid(principal, action == Gatehouse::Action::"till/export", resource);',
    },
  ]);
  await approver.approve(approval);
  const over = await until(task, taskId, isOver);
  assert.match(JSON.stringify(over.error), /approval\.superseded/);
  assert.deepEqual(ran, []);
  const after = await workspace.operator('GET /approvals/:id', { params: { id: approval } });
  assert.equal(after.state, 'cancelled');
});

test('a task that is suspended gives nothing out until a person lets it go on; one that was killed, never', async () => {
  const { task, taskId, approval } = await begin();
  await approver.approve(approval);
  await until(task, taskId, isOver);
  await workspace.operator('POST /tasks/:id/suspend', { params: { id: task.id }, body: { reason: 'look' } });
  const refused = await caller.send(task, 'tasks/get', { taskId }, tasksExtension);
  assert.match(JSON.stringify(refused), /task\.suspended/);
  const { taskId: waiting, approval: open, task: other } = await begin();
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-a' }, body: { reason: 'test' } });
  assert.equal((await workspace.operator('GET /approvals/:id', { params: { id: open } })).state, 'cancelled');
  assert.equal(await call(other, 'tasks/get', { taskId: waiting }), undefined);
  assert.deepEqual(ran, []);
});
