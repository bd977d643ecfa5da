import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { AgentTask } from '@gatehouse/sdk';
import { manifests } from '../support/fixtures.ts';
import { startWorkspace, type Workspace } from '../support/workspace.ts';

/**
 * Law 1 with a tool server that hangs, is slow, breaks off, or lies. Whatever it does, each call that it saw has one dispatch, and what is not
 * known to have happened is unknown.
 */
type Message = { id?: number; method: string; params?: { arguments?: { how: string } } };
const tool = {
  name: 'do',
  inputSchema: { type: 'object', properties: { how: { type: 'string' } }, required: ['how'] },
};
const done = (id: unknown, text: string) => ({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } });

let workspace: Workspace;
let upstream: Server;
let task: AgentTask;
/** What it was asked to do, in order. */
const seen: string[] = [];

function act(how: string, id: number | undefined, response: ServerResponse): void {
  const say = (message: object) => response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  switch (how.split('-')[0]) {
    case 'slow':
      setTimeout(() => response.end(`data: ${JSON.stringify(done(id, 'late'))}\n\n`), 400);
      return;
    case 'hung':
      return void response.flushHeaders();
    case 'cut':
      response.write(`data: ${JSON.stringify(done(id, 'half')).slice(0, 20)}`);
      return void setTimeout(() => response.destroy(), 20);
    case 'twice':
      say(done(id, 'first'));
      say(done(id, 'second'));
      return void response.end();
    case 'other':
      say(done((id ?? 0) + 1_000, 'the success of something else'));
      return void response.end();
    case 'nothing':
      return void response.end();
    default:
      response.end(`data: ${JSON.stringify(done(id, 'fine'))}\n\n`);
  }
}

before(async () => {
  upstream = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method !== 'POST') return response.writeHead(405).end();
    const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as Message;
    if (id === undefined) return response.writeHead(202).end();
    if (method === 'tools/call') {
      const how = params?.arguments?.how ?? '';
      seen.push(how);
      return act(how, id, response);
    }
    const serverInfo = { name: 'liar', version: '1' };
    const answer =
      method === 'initialize'
        ? { result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo } }
        : method === 'tools/list'
          ? { result: { tools: [tool] } }
          : { error: { code: -32601, message: 'no' } };
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;
  workspace = await startWorkspace();
  await workspace.apply([
    ...manifests().filter((each) => !(each.kind === 'Template' && each.name === 'all')),
    {
      kind: 'ToolServer',
      name: 'liar',
      environments: ['production'],
      transport: { type: 'http', url, allowPrivateAddress: true },
      tools: { do: { tier: 2, effects: ['write'] } },
    },
    { kind: 'Template', name: 'all', allow: [{ tools: ['liar/*'] }] },
  ]);
  task = await (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'law 1' });
});
after(async () => {
  await workspace?.close();
  upstream?.closeAllConnections();
  upstream?.close();
});

/** What the agent is told, or null when it has given up. */
async function call(how: string, patienceMs = 10_000): Promise<string | null> {
  const url = task.mcpUrl('liar');
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
  };
  try {
    const response = await task.fetch(url, {
      method: 'POST',
      signal: AbortSignal.timeout(patienceMs),
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'do',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'do', arguments: { how }, _meta: meta },
      }),
    });
    return await response.text();
  } catch {
    return null;
  }
}

async function outcomeOf(how: string): Promise<{ dispatches: number; outcomes: (string | null)[] }> {
  for (let turn = 0; ; turn++) {
    const { items } = await workspace.operator('GET /actions', { query: { task: task.id, limit: '200' } });
    const views = await Promise.all(
      items.map(({ actionId }) => workspace.operator('GET /actions/:id', { params: { id: actionId } })),
    );
    const records = views
      .filter((view) => (view.arguments as { how?: string } | null)?.how === how)
      .flatMap((view) => view.records.map(({ record }) => record));
    const outcomes = records.filter(({ kind }) => kind === 'outcome').map(({ result }) => result);
    const dispatches = records.filter(({ kind }) => kind === 'dispatch').length;
    if (outcomes.length >= dispatches || turn === 50) return { dispatches, outcomes };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const faults: Record<string, { what: string; expected: string; says?: RegExp }> = {
  slow: { what: 'is slow', expected: 'success', says: /late/ },
  hung: { what: 'hangs, and its caller goes away', expected: 'unknown' },
  cut: { what: 'closes in the middle of its answer', expected: 'unknown', says: /Nobody knows whether this ran/ },
  twice: { what: 'answers twice', expected: 'success', says: /first/ },
  other: { what: 'answers a call that nobody made', expected: 'unknown', says: /Nobody knows whether this ran/ },
  nothing: { what: 'ends without an answer', expected: 'unknown', says: /Nobody knows whether this ran/ },
};

// @proves law-1.upstream, unknown.not-repeated
for (const [how, { what, expected, says }] of Object.entries(faults))
  test(`a tool server that ${what}: the call is recorded once, as ${expected}, and not silently repeated`, async () => {
    const told = await call(how, how === 'hung' ? 500 : undefined);
    if (says) assert.match(told ?? '', says);
    assert.deepEqual(await outcomeOf(how), { dispatches: 1, outcomes: [expected] });
    assert.deepEqual(
      seen.filter((each) => each === how),
      [how],
    );
    if (expected !== 'unknown') return;
    assert.match((await call(how)) ?? '', /gatehouse\/approval/);
    assert.equal(seen.filter((each) => each === how).length, 1);
    assert.match((await call(`fine-after-${how}`)) ?? '', /fine/);
  });
