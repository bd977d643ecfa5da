import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { prepareHostileStdio, startHostileHttp } from '../../../../../test/peers/hostile-server.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../../../test/peers/v2-server.ts';
import { digestJson, type JsonObject } from '../../platform/index.ts';
import {
  call,
  httpServer,
  rawServer,
  reply,
  scope,
  sendJson,
  shakeHands,
  startUpstreams,
  stdioPeer,
  stdioServer,
  temporaryDirectory,
  textOf,
} from './testing/kit.ts';

const packageFile = createRequire(import.meta.url).resolve;
const script = (name: string) =>
  join(packageFile(`@modelcontextprotocol/${name}/package.json`), '..', 'dist', 'index.js');

describe('what a server serves', () => {
  for (const [name, start] of [
    ['2025-11-25', startV1Http],
    ['2026-07-28', startV2Http],
  ] as const) {
    test(`is read whole from a server of ${name}`, async (context) => {
      const { upstreams } = startUpstreams(context);
      const peer = await start();
      context.after(peer.close);
      const served = await upstreams.describe(httpServer(peer.url));
      const names = (kind: string) => served.filter((one) => one.kind === kind).map((one) => one.name);
      assert.ok(names('tool').includes('echo') && names('tool').includes('toggle_tool'));
      assert.deepEqual(names('prompt'), ['greet']);
      assert.deepEqual(names('resource'), ['peer://note']);
      assert.deepEqual(names('resource-template'), ['peer://item/{id}']);
      assert.deepEqual(served.find(({ kind }) => kind === 'instructions')?.body, 'A peer for tests.');
      assert.equal(upstreams.stats().connections, 0, 'nothing stays open');
      assert.equal(peer.sessionCount(), 0);
    });
  }

  test('is, entry by entry, exactly what came over the wire, however many pages', async (context) => {
    const tools: JsonObject[] = Array.from({ length: 25 }, (_, index) => ({
      zebra: { 'unknown member': [index, null, 1.5e3] },
      name: `tool_${index}`,
      description: `\u202e hidden \u{e0041} ${index}`,
      inputSchema: { type: 'object', properties: { a: { const: index } } },
    }));
    const { url } = await rawServer(context, (request, response) => {
      if (shakeHands(request, response)) return;
      const from = Number((request.message.params as JsonObject).cursor ?? 0);
      const next: JsonObject = from + 10 < tools.length ? { nextCursor: String(from + 10) } : {};
      sendJson(response, reply(request, { tools: tools.slice(from, from + 10), ...next }));
    });
    const { upstreams } = startUpstreams(context);
    const served = await upstreams.describe(httpServer(url));
    assert.deepEqual(
      served.map(({ body }) => body),
      tools,
    );
    assert.equal(digestJson(served[3]?.body), digestJson(tools[3]));
  });

  const refused: Record<string, (page: number) => JsonObject> = {
    'pages that never end': (page) => ({ tools: [], nextCursor: `c${page}` }),
    'pages in a circle': () => ({ tools: [], nextCursor: 'again' }),
    'more entries than a registry takes': (page) => ({
      tools: Array.from({ length: 20 }, (_, index) => ({ name: `t${page}-${index}`, inputSchema: {} })),
      nextCursor: `c${page}`,
    }),
    'a tool without a name': () => ({ tools: [{ description: 'nameless' }] }),
    'a list that is none': () => ({ tools: { name: 'a' } }),
  };
  for (const [what, page] of Object.entries(refused)) {
    test(`is refused with ${what}`, async (context) => {
      let pages = 0;
      const { url } = await rawServer(context, (request, response) => {
        if (!shakeHands(request, response)) sendJson(response, reply(request, page(pages++)));
      });
      const { upstreams } = startUpstreams(context, { limits: { definitions: 50 } });
      await assert.rejects(upstreams.describe(httpServer(url)), { kind: 'violation' });
      assert.ok(pages <= 60);
    });
  }

  test('shows a name that is served twice as often as it is served', async (context) => {
    const tools: JsonObject[] = [{ name: 'same' }, { name: 'same', description: 'other' }];
    const { url } = await rawServer(context, (request, response) => {
      if (!shakeHands(request, response)) sendJson(response, reply(request, { tools }));
    });
    const { upstreams } = startUpstreams(context);
    assert.deepEqual(
      (await upstreams.describe(httpServer(url))).map(({ body }) => body),
      tools,
    );
  });

  test('shows a definition that was changed behind our back', async (context) => {
    const { upstreams } = startUpstreams(context);
    const peer = await startHostileHttp();
    context.after(peer.close);
    const digests = async () =>
      (await upstreams.describe(httpServer(peer.url))).map(
        ({ kind, name, body }) => `${kind} ${name} ${digestJson(body)}`,
      );
    const before = await digests();
    assert.deepEqual(await digests(), before);
    peer.mutateNow('key-order');
    assert.deepEqual(await digests(), before, 'the order of keys says nothing');
    peer.mutateNow('invisible-text');
    const after = await digests();
    assert.deepEqual(
      after.filter((line) => !before.includes(line)).map((line) => line.split(' ')[1]),
      ['transfer'],
    );
  });

  test('leaves no process and no directory behind', async (context) => {
    const { upstreams, dataDir } = startUpstreams(context);
    const peer = prepareHostileStdio();
    context.after(peer.close);
    await upstreams.describe(stdioPeer(peer));
    assert.equal(upstreams.stats().processes, 0);
    assert.deepEqual(readdirSync(join(dataDir, 'upstreams', 'local')), []);
  });
});

describe('the servers that people use', () => {
  test('server-filesystem reads and writes the granted directory', async (context) => {
    const { upstreams } = startUpstreams(context);
    const files = temporaryDirectory(context);
    const server = stdioServer(
      [script('server-filesystem'), files],
      {},
      { directories: [{ path: files, access: 'rw' }] },
    );
    const served = await upstreams.describe(server);
    assert.ok(served.some(({ name }) => name === 'write_file'));
    const connection = await upstreams.connect(server, scope, { capabilities: {} });
    const path = join(files, 'note.txt');
    await call(connection, 'write_file', { path, content: 'written' });
    assert.equal(textOf(await call(connection, 'read_text_file', { path })), 'written');
    assert.ok(existsSync(path));
  });

  test('server-memory keeps its file in the working directory of the task', async (context) => {
    const { upstreams } = startUpstreams(context);
    const server = stdioServer(
      [script('server-memory')],
      {},
      { env: { MEMORY_FILE_PATH: '{workingDirectory}/memory.jsonl' } },
    );
    const entities = [{ name: 'Ada', entityType: 'person', observations: ['counts'] }];
    const first = await upstreams.connect(server, scope, { capabilities: {} });
    await call(first, 'create_entities', { entities });
    assert.match(textOf(await call(first, 'read_graph')), /Ada/);
    const second = await upstreams.connect(server, { ...scope, task: 'tsk_2' }, { capabilities: {} });
    assert.doesNotMatch(textOf(await call(second, 'read_graph')), /Ada/);
  });

  test('server-everything shows what it shows to a client that can be asked, and asks', async (context) => {
    const { upstreams } = startUpstreams(context);
    const clientRequests = { sampling: true, elicitation: true, urlElicitation: false, roots: true };
    const server = stdioServer([script('server-everything')], { clientRequests });
    const served = await upstreams.describe(server);
    assert.ok(served.some(({ name }) => name === 'trigger-sampling-request'));
    const connection = await upstreams.connect(server, scope, { capabilities: { sampling: {}, elicitation: {} } });
    const onServerRequest = async () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled' } });
    const answer = await call(connection, 'trigger-sampling-request', { prompt: 'p' }, { onServerRequest });
    assert.match(JSON.stringify(answer), /sampled/);
  });
});
