import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as HttpTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { connectV1, connectV2, type Target, type TestClient } from './clients.ts';
import { noteUri } from './peer.ts';
import type { PeerLog } from './peer-log.ts';
import { prepareV1Stdio, startV1Http } from './v1-server.ts';
import { prepareV2Stdio, startV2Http } from './v2-server.ts';

type Started = { target: Target; log: PeerLog; close(): Promise<void> };

const peers: Record<string, () => Promise<Started>> = {
  'v1 over HTTP': async () => {
    const peer = await startV1Http();
    return { target: peer, log: peer.state.log, close: peer.close };
  },
  'v1 over stdio': async () => {
    const peer = prepareV1Stdio();
    return { target: peer, log: peer.log, close: peer.close };
  },
  'v2 over HTTP': async () => {
    const peer = await startV2Http();
    return { target: peer, log: peer.state.log, close: peer.close };
  },
  'v2 over stdio': async () => {
    const peer = prepareV2Stdio();
    return { target: peer, log: peer.log, close: peer.close };
  },
};

const clients: Record<string, (target: Target) => Promise<TestClient>> = {
  'a v1 client': connectV1,
  'a v2 client in 2025-11-25': (target) => connectV2(target, '2025-11-25'),
  'a v2 client in 2026-07-28': (target) => connectV2(target, '2026-07-28'),
};

for (const [peerName, start] of Object.entries(peers)) {
  for (const [clientName, connect] of Object.entries(clients)) {
    if (peerName.startsWith('v1') && clientName.endsWith('2026-07-28')) continue;

    describe(`${peerName} does for ${clientName} what it offers:`, { timeout: 60_000 }, () => {
      let peer: Started;
      let client: TestClient;
      before(async () => {
        peer = await start();
        client = await connect(peer.target);
      });
      after(async () => {
        await client.close();
        await peer.close();
      });
      const textOf = async (...call: Parameters<TestClient['call']>) => (await client.call(...call)).content[0]?.text;

      test('answers', async () => {
        assert.equal(await textOf('echo', { text: 'hello' }), 'hello');
        assert.deepEqual((await client.call('add', { a: 2, b: 3 })).structuredContent, { sum: 5 });
        assert.equal(await textOf('slow', { ms: 1 }), 'slept 1 ms');
        assert.ok(peer.log.all().some(({ event, tool }) => event === 'called' && tool === 'add'));
      });

      test('logs and reports progress', async () => {
        await client.call('log', { message: 'look' });
        await until(() => client.logged.includes('look'));
        const progress: number[] = [];
        await client.call('progress', { steps: 3 }, { onProgress: (step) => progress.push(step) });
        await until(() => progress.length === 3);
        assert.deepEqual(progress, [1, 2, 3]);
      });

      test('waits until it is cancelled, and knows that it was', async () => {
        const controller = new AbortController();
        const call = client.call('wait_until_cancelled', { label: 'a' }, { signal: controller.signal });
        await peer.log.until('waiting', 'wait_until_cancelled');
        controller.abort();
        await assert.rejects(call);
        await peer.log.until('cancelled', 'wait_until_cancelled');
      });

      test('asks for input by form and URL, for a sample and for roots', async () => {
        assert.equal(await textOf('ask_form', { message: 'Six by nine?' }), 'accept {"answer":"forty-two"}');
        assert.equal(await textOf('ask_url', { message: 'Go', url: 'https://example.test/page' }), 'accept');
        assert.equal(await textOf('sample', { prompt: 'Say it' }), '{"type":"text","text":"sampled"}');
        assert.equal(await textOf('list_roots'), 'file:///test/root');
        assert.deepEqual(
          client.asked.map(({ method }) => method),
          ['elicitation/create', 'elicitation/create', 'sampling/createMessage', 'roots/list'],
        );
      });

      test('changes its tools and its note, and says so', async () => {
        await client.subscribe(noteUri);
        await client.call('toggle_tool');
        await until(() => client.toolListChanges === 1);
        assert.ok((await client.listTools()).some(({ name }) => name === 'extra'));
        await client.call('set_note', { text: 'second note' });
        await until(() => client.updated.includes(noteUri));
        assert.equal(await client.readResource(noteUri), 'second note');
      });

      test('has a template and a prompt, which complete', async () => {
        assert.equal(await client.readResource('peer://item/10'), 'item 10');
        assert.deepEqual(await client.completeTemplate('peer://item/{id}', 'id', '1'), ['1', '10']);
        assert.match(JSON.stringify(await client.getPrompt('greet', { name: 'ada' })), /Greet ada/);
        assert.deepEqual(await client.completePrompt('greet', 'name', 'a'), ['ada', 'alan']);
      });
    });
  }
}

test('a v1 client gets a task from the v1 peer, and its result', { timeout: 60_000 }, async () => {
  const peer = await startV1Http();
  const client = new ClientV1({ name: 'test-client', version: '1.0.0' });
  await client.connect(new HttpTransportV1(new URL(peer.url)));
  const call = { name: 'long_job', arguments: { ms: 50 } };
  const seen: string[] = [];
  const stream = client.experimental.tasks.callToolStream(call, CallToolResultSchema, { task: { ttl: 60_000 } });
  for await (const message of stream) {
    seen.push(message.type);
    if (message.type === 'result') assert.match(JSON.stringify(message.result), /job done/);
  }
  assert.equal(seen[0], 'taskCreated');
  assert.equal(seen.at(-1), 'result');
  await client.close();
  await peer.close();
});

test('the v2 peer answers with a task those who know the extension, and all others at once', async () => {
  const peer = await startV2Http();
  const rpc = async (method: string, params: Record<string, unknown>, extensions = {}) => {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      'mcp-name': String(params.name ?? params.taskId),
    };
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': { extensions },
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } });
    return (await (await fetch(peer.url, { method: 'POST', headers, body })).json()) as {
      result: { taskId?: string; status?: string; content?: unknown; result?: unknown };
    };
  };
  const knows = { 'io.modelcontextprotocol/tasks': {} };
  const call = { name: 'long_job', arguments: { ms: 1 } };
  assert.match(JSON.stringify(await rpc('tools/call', call)), /job done/);

  const { result: task } = await rpc('tools/call', call, knows);
  assert.ok(task.taskId);
  assert.equal(task.content, undefined);
  let shown = (await rpc('tasks/get', { taskId: task.taskId }, knows)).result;
  while (shown.status === 'working') shown = (await rpc('tasks/get', { taskId: task.taskId }, knows)).result;
  assert.equal(shown.status, 'completed');
  assert.match(JSON.stringify(shown.result), /job done/);

  const { result: long } = await rpc('tools/call', { name: 'long_job', arguments: { ms: 600_000 } }, knows);
  await rpc('tasks/cancel', { taskId: long.taskId }, knows);
  await peer.state.log.until('cancelled', 'long_job');
  await peer.close();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
