import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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

    describe(`${peerName} does for ${clientName} what it offers:`, { timeout: 20_000 }, () => {
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

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
