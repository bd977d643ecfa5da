import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport, createSvidSource, enrolAgent, generateAgentKey } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { exportJWK, generateKeyPair } from 'jose';
import { startV2Http } from './peers/v2-server.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Law 6: kill is final. */
let workspace: Workspace;
let peer: Awaited<ReturnType<typeof startV2Http>>;

before(async () => {
  workspace = await startWorkspace();
  peer = await startV2Http();
  const all: ManifestInput = { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*', 'peer/*'] }] };
  await workspace.apply([
    ...manifests().filter((each) => each.kind !== 'Template' || each.name !== 'all'),
    all,
    {
      kind: 'ToolServer',
      name: 'peer',
      environments: ['production'],
      transport: { type: 'http', url: peer.url, allowPrivateAddress: true },
      tools: { echo: { tier: 1, effects: ['read'] }, wait_until_cancelled: { tier: 1, effects: ['read'] } },
    },
  ]);
});
after(async () => {
  await workspace.close();
  await peer.close();
});

const kill = (name: string) =>
  workspace.operator('POST /agents/:name/kill', { params: { name }, body: { reason: 'test' } });
const activate = (name: string) =>
  workspace.operator('POST /agents/:name/state', { params: { name }, body: { state: 'active' } });
const refund = {
  name: 'shop__refund_order',
  arguments: { order: 1042, amount_cents: 100, currency: 'EUR', reason: 'test' },
};

/** @proves law-6.issuance */
test('after kill returns no call passes, no token is minted, parked approvals are cancelled; a reactivated agent starts anew', async () => {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  assert.ok(!(await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } })).isError);
  assert.ok((await client.callTool(refund))._meta?.['gatehouse/approval']);

  const killed = await kill('agent-a');
  assert.deepEqual(killed.acknowledged, ['one']);
  assert.equal(killed.cancelledApprovals, 1);
  assert.equal(
    (await workspace.operator('GET /approvals', { query: { agent: 'agent-a', state: 'pending' } })).items.length,
    0,
  );

  await assert.rejects(client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } }));
  await assert.rejects(agent.startTask({ template: 'all', intent: 'again' }), /killed/);
  await assert.rejects(agent.resumeTask(task.id), /killed/);
  assert.equal((await workspace.operator('GET /tasks/:id', { params: { id: task.id } })).state, 'killed');

  await activate('agent-a');
  const response = await task.fetch(`${workspace.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(response.status, 401, 'a token from before the kill stays dead after a reactivation');
  await assert.rejects(agent.resumeTask(task.id));
  const fresh = new Client({ name: 't', version: '1' });
  await fresh.connect(createMcpTransport(await agent.startTask({ template: 'all', intent: 'anew' })));
  assert.ok(!(await fresh.callTool({ name: 'shop__get_order', arguments: { order: 1042 } })).isError);
  await fresh.close();
});

/** @proves law-6.issuance */
test('a join token from before a kill enrols no key, not even when the agent is back', async () => {
  const agent = await workspace.agent('agent-a');
  const at = { params: { name: 'agent-a' } };
  const { id, token: joinToken } = await workspace.operator('POST /agents/:name/join-tokens', { ...at, body: {} });
  await kill('agent-a');
  await activate('agent-a');
  const key = await generateAgentKey(join(mkdtempSync(join(tmpdir(), 'gatehouse-kill-')), 'key.jwk'));
  await assert.rejects(enrolAgent({ url: workspace.url, agent: 'agent-a', key, proof: { joinToken } }), {
    code: 'join-token.refused',
  });
  const revoked = await workspace.operator('GET /records', { query: { operation: 'join-token.revoke' } });
  assert.match(JSON.stringify(revoked), new RegExp(id));
  assert.ok(await agent.startTask({ template: 'all', intent: 'with the key that it has' }));
});

/** @proves law-6.issuance */
test('after kill no SVID is given, neither of the agent nor of its task', async () => {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const sources = [undefined, task].map((each) =>
    createSvidSource({ url: workspace.url, agent: 'agent-a', key: agent.key, ...(each && { task: each }) }),
  );
  for (const source of sources) {
    assert.match((await source.x509()).spiffeId, /agent\/agent-a/);
    await source.jwt(['a']);
  }
  await kill('agent-a');
  for (const source of sources) {
    await assert.rejects(source.jwt(['a']), ({ status }) => status === 401 || status === 403);
    source.close();
  }
  await activate('agent-a');
});

test('a call in flight is ended, its upstream hears of it, and the record says that its outcome is unknown', async () => {
  const agent = await workspace.agent('agent-b');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const waiting = client.callTool({ name: 'peer__wait_until_cancelled', arguments: { label: 'kill' } }).then(
    (result) => JSON.stringify(result),
    (error: Error) => error.message,
  );
  const onRecord = async () => {
    const query = { task: task.id, tool: 'peer/wait_until_cancelled' };
    return (await workspace.operator('GET /actions', { query })).items[0];
  };
  while ((await onRecord())?.status !== 'running') await new Promise((resolve) => setTimeout(resolve, 25));
  await kill('agent-b');
  const ended = await waiting;
  assert.ok(/killed|stopped|closed|terminated|unknown|may have run|fetch failed/i.test(ended), ended);
  while ((await onRecord())?.status === 'running') await new Promise((resolve) => setTimeout(resolve, 25));
  assert.equal((await onRecord())?.status, 'unknown');
  await activate('agent-b');
});

test('a change of keys ends what runs with tokens from before, although the agent stays active', async () => {
  const agent = await workspace.agent('agent-bearer', { bearerOnly: true });
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  const waiting = client.callTool({ name: 'peer__wait_until_cancelled', arguments: { label: 'keys' } }).then(
    (result) => JSON.stringify(result),
    (error: Error) => error.message,
  );
  const running = async () => {
    const { items } = await workspace.operator('GET /actions', { query: { task: task.id, operation: 'tools/call' } });
    return items[0];
  };
  while ((await running())?.status !== 'running') await new Promise((resolve) => setTimeout(resolve, 10));
  const pair = await generateKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y } = await exportJWK(pair.publicKey);
  await workspace.operator('POST /agents/:name/keys', {
    params: { name: 'agent-bearer' },
    body: { key: { kty, crv, x, y } },
  });
  assert.match(await waiting, /changed|stopped|closed|terminated|unknown|may have run|fetch failed/i);
  while ((await running())?.status === 'running') await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal((await running())?.status, 'unknown');
});

test('open streams of a killed agent end, and no new one opens', async () => {
  const agent = await workspace.agent('agent-a');
  const task = await agent.startTask({ template: 'all', intent: 'test' });
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const opened = await task.fetch(`${workspace.url}/mcp`, {
    method: 'POST',
    headers,
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    }),
  });
  const session = opened.headers.get('mcp-session-id') ?? '';
  await opened.text();
  const stream = await task.fetch(`${workspace.url}/mcp`, {
    headers: { accept: 'text/event-stream', 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' },
  });
  assert.equal(stream.status, 200);
  const ended = (async () => {
    for await (const _ of stream.body ?? []);
  })().catch(() => undefined);
  await kill('agent-a');
  await ended;
  const again = await task.fetch(`${workspace.url}/mcp`, {
    headers: { accept: 'text/event-stream', 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' },
  });
  assert.equal(again.status, 401);
  await activate('agent-a');
});

test('kill again is not an error, kill of nobody is; and only owner, security and admins may', async () => {
  await kill('agent-a');
  await kill('agent-a');
  await assert.rejects(kill('agent-nobody'), { status: 404 });
  const approver = await workspace.person('approver@example.test');
  await assert.rejects(approver.api('POST /agents/:name/kill', { params: { name: 'agent-b' } }), { status: 403 });
  const owner = await workspace.person('owner@example.test');
  assert.equal((await owner.api('POST /agents/:name/kill', { params: { name: 'agent-b' } })).agent, 'agent-b');
});
