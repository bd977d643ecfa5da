import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { prepareHostileStdio } from '../../../../../test/peers/hostile-server.ts';
import { prepareV1Stdio } from '../../../../../test/peers/v1-server.ts';
import { prepareV2Stdio } from '../../../../../test/peers/v2-server.ts';
import type { Clock, JsonObject } from '../../platform/index.ts';
import { call, nextUnsolicited, scope, startUpstreams, stdioPeer, stdioServer, textOf } from './testing/kit.ts';
import type { ServerMessage } from './types.ts';

const none = { capabilities: {} };
const all = { capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} } };

for (const [era, prepare] of [
  ['2025-11-25', prepareV1Stdio],
  ['2026-07-28', prepareV2Stdio],
] as const) {
  describe(`over stdio, a server of ${era}`, () => {
    test('is recognised and answers calls', async (context) => {
      const peer = prepare();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(stdioPeer(peer), scope, none);
      assert.equal(connection.era, era);
      assert.equal(textOf(await call(connection, 'echo', { text: 'hello\u2028grüße' })), 'hello\u2028grüße');
      assert.equal(upstreams.stats().processes, 1);
    });

    test('progress of calls at once reaches each under its own token', async (context) => {
      const peer = prepare();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(stdioPeer(peer), scope, none);
      const seen = await Promise.all(
        ['same', 'same'].map(async (progressToken) => {
          const notes: unknown[] = [];
          const onNotification = ({ params }: ServerMessage) =>
            void notes.push([params.progressToken, params.progress]);
          await call(connection, 'progress', { steps: 20 }, { onNotification, meta: { progressToken } });
          return notes;
        }),
      );
      const expected = Array.from({ length: 20 }, (_, index) => ['same', index + 1]);
      assert.deepEqual(seen, [expected, expected]);
    });

    test('an aborted call is cancelled at the server', async (context) => {
      const peer = prepare();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(stdioPeer(peer), scope, none);
      const controller = new AbortController();
      const answer = call(connection, 'wait_until_cancelled', { label: 'x' }, { signal: controller.signal });
      await peer.log.until('waiting', 'wait_until_cancelled');
      controller.abort();
      await assert.rejects(answer, { kind: 'aborted', mayHaveRun: true });
      await peer.log.until('cancelled', 'wait_until_cancelled');
    });

    test('a watched resource announces its change', async (context) => {
      const peer = prepare();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(stdioPeer(peer), scope, none);
      const updated = nextUnsolicited(connection, 'notifications/resources/updated');
      const stop = await connection.watch({ resourceSubscriptions: ['peer://note'] });
      await call(connection, 'set_note', { text: 'second' });
      assert.deepEqual((await updated).params, { uri: 'peer://note' });
      await stop();
    });

    test('ends with its task, and so does its working directory', async (context) => {
      const peer = prepare();
      const { upstreams, dataDir } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(stdioPeer(peer), scope, none);
      const waiting = call(connection, 'wait_until_cancelled', { label: 'x' });
      waiting.catch(() => undefined);
      await peer.log.until('waiting', 'wait_until_cancelled');
      assert.ok(existsSync(join(dataDir, 'upstreams/local/tsk_1')));
      await upstreams.end({ task: 'tsk_1' });
      await assert.rejects(waiting, { kind: 'lost', mayHaveRun: true });
      assert.equal(upstreams.stats().processes, 0);
      assert.deepEqual(readdirSync(join(dataDir, 'upstreams/local')), []);
    });
  });
}

describe('a stdio server', () => {
  test('of 2025-11-25 asks for input in the course of a call', async (context) => {
    const peer = prepareV1Stdio();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const connection = await upstreams.connect(stdioPeer(peer), scope, all);
    const onServerRequest = async ({ method }: ServerMessage): Promise<JsonObject> =>
      method === 'roots/list' ? { roots: [{ uri: 'file:///r' }] } : { action: 'accept', content: { answer: 'yes' } };
    assert.equal(
      textOf(await call(connection, 'ask_form', { message: 'ok?' }, { onServerRequest })),
      'accept {"answer":"yes"}',
    );
    assert.equal(textOf(await call(connection, 'list_roots', {}, { onServerRequest })), 'file:///r');
  });

  test('that keeps silent before initialize is taken for one of 2025-11-25', async (context) => {
    const peer = prepareHostileStdio({ hangOn: 'server/discover' });
    const { upstreams } = startUpstreams(context, { limits: { probeTimeoutMs: 500 } });
    context.after(peer.close);
    const connection = await upstreams.connect(stdioPeer(peer), scope, none);
    assert.equal(connection.era, '2025-11-25');
    assert.equal(textOf(await call(connection, 'well_behaved')), 'well');
  });

  test('that dies of the probe is started again without it', async (context) => {
    const { upstreams } = startUpstreams(context);
    const source = `
      const lines = require('node:readline').createInterface({ input: process.stdin });
      lines.on('line', (line) => {
        const { id, method } = JSON.parse(line);
        if (method === 'server/discover') process.exit(3);
        const results = {
          initialize: { protocolVersion: '2024-11-05', capabilities: {}, serverInfo: { name: 'old', version: '1' } },
          'tools/call': { content: [{ type: 'text', text: 'old' }] },
        };
        if (results[method]) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] }));
      });`;
    const connection = await upstreams.connect(stdioServer(['-e', source]), scope, none);
    assert.equal(connection.protocolVersion, '2024-11-05');
    assert.equal(textOf(await call(connection, 'a')), 'old');
  });

  test('that cannot start says so and is not started again at once, again and again', async (context) => {
    let now = 0;
    const clock: Clock = { now: () => now };
    const { upstreams } = startUpstreams(context, { clock });
    const server = stdioServer(['-e', 'process.exit(7)']);
    const attempt = () => upstreams.connect(server, scope, none);
    await assert.rejects(attempt(), { kind: 'unreachable', mayHaveRun: false, message: /exited with code 7/ });
    await assert.rejects(attempt(), { message: /^The process exited with code 7\.$/ });
    await assert.rejects(attempt(), { message: /tried again in 250 ms/ });
    now += 250;
    await assert.rejects(attempt(), { message: /^The process exited with code 7\.$/ });
    await assert.rejects(attempt(), { message: /tried again in 500 ms/ });
    assert.equal(upstreams.stats().processes, 0);
  });

  test('that crashed in a call is there again for the next', async (context) => {
    const peer = prepareHostileStdio();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    for (let round = 0; round < 3; round++) {
      const connection = await upstreams.connect(stdioPeer(peer), scope, none);
      assert.equal(textOf(await call(connection, 'well_behaved')), 'well');
      await assert.rejects(call(connection, 'die'), { kind: 'lost', mayHaveRun: true });
      await assert.rejects(call(connection, 'well_behaved'), { kind: 'lost', mayHaveRun: false });
    }
    assert.equal(upstreams.stats().restarts, 2);
  });

  test('that ignores the end of its input and SIGTERM is killed', async (context) => {
    const peer = prepareHostileStdio({ stubborn: true });
    const { upstreams } = startUpstreams(context, { limits: { exitGraceMs: 100 } });
    context.after(peer.close);
    await upstreams.connect(stdioPeer(peer), scope, none);
    await upstreams.end({ server: 'local' });
    assert.equal(upstreams.stats().processes, 0);
  });

  test('that does not read is cut off before what waits for it fills our memory', async (context) => {
    const { upstreams } = startUpstreams(context, { limits: { unreadBytes: 1024 * 1024 } });
    const source = `
      process.stdin.once('data', (line) => {
        const { id } = JSON.parse(line);
        const result = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: {} };
        console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
        process.stdin.pause();
        setInterval(() => undefined, 1000);
      });`;
    const connection = await upstreams.connect(stdioServer(['-e', source]), scope, none);
    await assert.rejects(call(connection, 'a', { text: 'x'.repeat(4 * 1024 * 1024) }), {
      kind: 'violation',
      message: /does not read/,
    });
  });

  test('cannot fill the log from standard error', async (context) => {
    const { upstreams, log } = startUpstreams(context);
    const source = `
      for (let line = 0; line < 5000; line++) console.error('line', line, 'x'.repeat(5000));
      process.stderr.write('y'.repeat(1024 * 1024), () => process.exit(0));`;
    await assert.rejects(upstreams.connect(stdioServer(['-e', source]), scope, none), { kind: 'unreachable' });
    const lines = log.filter(({ message }) => message === 'upstream.stderr');
    assert.ok(lines.length > 0 && lines.length <= 240, `${lines.length} lines`);
    assert.ok(lines.every(({ line }) => String(line).length <= 2_000));
  });

  test('cannot bring what it was granted in its environment into the log', async (context) => {
    const { upstreams, log } = startUpstreams(context);
    const source = `console.error('my key is ' + process.env.API_KEY); process.exit(1);`;
    const server = stdioServer(['-e', source], {}, { env: { API_KEY: 'sk-CANARY-0123456789' } });
    await assert.rejects(upstreams.connect(server, scope, none), { kind: 'unreachable' });
    assert.ok(!JSON.stringify(log).includes('CANARY'));
    assert.ok(log.some(({ line }) => line === 'my key is [API_KEY]'));
  });

  test('of one session is not that of another; sessions of a task are limited', async (context) => {
    const peer = prepareHostileStdio();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const server = stdioPeer(peer);
    const first = await upstreams.connect(server, { ...scope, session: 'a' }, none);
    const second = await upstreams.connect(server, { ...scope, session: 'b' }, none);
    assert.notEqual(first, second);
    await upstreams.end({ task: scope.task, session: 'a' });
    assert.ok(first.closed.aborted);
    assert.ok(!second.closed.aborted);
  });

  test('that is stateless is shared by tasks of one environment, and by none of another', async (context) => {
    const peer = prepareHostileStdio();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const server = stdioPeer(peer, { stateless: true });
    const first = await upstreams.connect(server, scope, none);
    assert.equal(await upstreams.connect(server, { ...scope, task: 'tsk_2' }, none), first);
    assert.notEqual(await upstreams.connect(server, { environment: 'prod', task: 'tsk_1' }, none), first);
    await upstreams.end({ task: 'tsk_1' });
    assert.ok(!first.closed.aborted, 'another task may still use it');
  });

  test('that is shared gives log messages to nobody when they could be of two tasks', async (context) => {
    const peer = prepareHostileStdio();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const connection = await upstreams.connect(stdioPeer(peer, { stateless: true }), scope, none);
    const seen: ServerMessage[] = [];
    connection.onUnsolicited((message) => seen.push(message));
    const onNotification = (message: ServerMessage) => void seen.push(message);
    const controller = new AbortController();
    const other = call(connection, 'hang', {}, { onNotification, signal: controller.signal });
    assert.equal(textOf(await call(connection, 'flood', { count: 10 }, { onNotification })), 'flooded');
    assert.deepEqual(seen, []);
    controller.abort();
    await assert.rejects(other, { kind: 'aborted' });
  });
});
