import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { startHostileHttp } from './peers/hostile-server.ts';
import { harmlessMutations, type MutationName, mutations } from './peers/hostile-tools.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Law 8 through the whole system: a server that changes after it was approved, in every way. */
let workspace: Workspace;
before(async () => {
  workspace = await startWorkspace();
});
const open: { close(): Promise<unknown> }[] = [];
after(async () => {
  for (const each of open) await each.close();
  await workspace.close();
});

type ToolServerTools = Extract<ManifestInput, { kind: 'ToolServer' }>['tools'];

const bothTools: ToolServerTools = { transfer: { tier: 1, effects: ['pay'] }, lookup: { tier: 1, effects: ['read'] } };

let number = 0;

/** A server of its own per test: honest when it is applied, changed from then on. */
async function hostile(mutation: MutationName, tools: ToolServerTools = bothTools) {
  const server = await startHostileHttp({ mutation });
  const name = `server-${++number}`;
  const agentName = `agent-${number}`;
  const manifests: ManifestInput[] = [
    { kind: 'Environment', name: 'production' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    { kind: 'Blueprint', name: `blueprint-${number}`, templates: [`template-${number}`] },
    {
      kind: 'Agent',
      name: agentName,
      owner: 'owner@example.test',
      purpose: 'tests',
      environment: 'production',
      blueprint: `blueprint-${number}`,
    },
    {
      kind: 'ToolServer',
      name,
      environments: ['production'],
      transport: { type: 'http', url: server.url, allowPrivateAddress: true },
      tools,
    },
    { kind: 'Template', name: `template-${number}`, allow: [{ tools: [`${name}/*`] }] },
  ];
  await workspace.apply(manifests);
  const agent = await workspace.agent(agentName);
  const task = await agent.startTask({ template: `template-${number}`, intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  open.push({ close: () => Promise.all([client.close(), server.close()]) });
  return { name, client };
}

const transfer = { from: 'A', to: 'B', amount_cents: 1, speed: 'slow' };

for (const mutation of Object.keys(mutations) as MutationName[]) {
  test(`a server that changes (${mutation}) after it was approved is held back, and is shown as approved`, async () => {
    const { name, client } = await hostile(mutation);
    const before = await client.listTools();
    const { held } = await workspace.operator('POST /servers/:name/refresh', { params: { name } });
    const { items } = await workspace.operator('GET /definitions', { query: { server: name } });
    const waiting = items.filter(({ state }) => state !== 'approved');
    assert.ok(held.length + waiting.length > 0, 'nothing is held back');
    const shown = await client.listTools();
    for (const tool of shown.tools) {
      const approved = before.tools.find((each) => each.name === tool.name);
      assert.deepEqual(tool, approved, 'a definition reached the agent that nobody approved');
    }
    for (const { name: tool, kind } of waiting.filter(({ kind }) => kind === 'tool')) {
      const result = await client
        .callTool({ name: `${name}__${tool}`, arguments: transfer })
        .catch(() => ({ isError: true }));
      assert.ok(result.isError, `${kind} ${tool} ran although it waits for review`);
    }
  });
}

for (const mutation of Object.keys(harmlessMutations) as MutationName[]) {
  test(`a server that only says the same in another order (${mutation}) is not held back`, async () => {
    const { name, client } = await hostile(mutation);
    const { held } = await workspace.operator('POST /servers/:name/refresh', { params: { name } });
    assert.deepEqual(held, []);
    assert.ok(!(await client.callTool({ name: `${name}__lookup`, arguments: { account: 'A' } })).isError);
  });
}

test('a changed definition runs again once a person has approved exactly what was seen; the digest seen before is a conflict', async () => {
  const { name, client } = await hostile('description');
  await workspace.operator('POST /servers/:name/refresh', { params: { name } });
  const { items } = await workspace.operator('GET /definitions', { query: { server: name, state: 'held' } });
  const changed = items.find(({ name: tool }) => tool === 'transfer');
  assert.ok(changed?.served && changed.approved);
  const review = { server: name, kind: 'tool', name: 'transfer', decision: 'approve' };
  await assert.rejects(
    workspace.operator('POST /definitions/review', { body: { ...review, digest: changed.approved.digest } }),
    { status: 409 },
  );
  assert.ok((await client.callTool({ name: `${name}__transfer`, arguments: transfer })).isError);
  await workspace.operator('POST /definitions/review', { body: { ...review, digest: changed.served.digest } });
  assert.ok(!(await client.callTool({ name: `${name}__transfer`, arguments: transfer })).isError);
});

/** @proves law-2.no-tier */
test('a tool to which no operator gave a tier can neither be listed nor called, though a template allows all of the server', async () => {
  const { name, client } = await hostile('key-order', { lookup: { tier: 1, effects: ['read'] } });
  assert.deepEqual(
    (await client.listTools()).tools.map((tool) => tool.name),
    [`${name}__lookup`],
  );
  assert.ok(
    (await client.callTool({ name: `${name}__transfer`, arguments: transfer }).catch(() => ({ isError: true })))
      .isError,
  );
  const { items } = await workspace.operator('GET /tools');
  const untiered = items.find(({ ref }) => ref === `${name}/transfer`);
  assert.ok(untiered === undefined || (untiered.tier === 4 && untiered.state === 'held'));
});

/** @proves law-5.declared */
test('what an agent declares of who asked is recorded as declared, shown to approvers, and grants nothing', async () => {
  const { name } = await hostile('key-order');
  const agent = await workspace.agent(`agent-${number}`);
  const task = await agent.startTask({
    template: `template-${number}`,
    intent: 'I am the owner, allow everything',
    onBehalfOf: 'owner@example.test',
    requestedBy: 'owner@example.test',
  });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const refused = await client
    .callTool({ name: `${name}__unknown_tool`, arguments: {} })
    .catch(() => ({ isError: true }));
  assert.ok(refused.isError);
  const asOwner = await task.fetch(`${workspace.url}/api/v1/agents`);
  assert.ok([401, 403].includes(asOwner.status));
  const { items } = await workspace.operator('GET /records', { query: { task: task.id } });
  const record = items.find(({ record: { operation } }) => operation === 'task.start' || operation === 'tools/call');
  assert.ok(record);
  await client.close();
});
