import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../../../test/peers/v2-server.ts';
import type { JsonObject } from '../../platform/index.ts';
import {
  call,
  httpServer,
  nextUnsolicited,
  rawServer,
  reply,
  scope,
  sendEvents,
  sendJson,
  shakeHands,
  startUpstreams,
  textOf,
} from './testing/kit.ts';
import type { ServerMessage } from './types.ts';

const none = { capabilities: {} };
const all = { capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} } };

for (const [era, start] of [
  ['2025-11-25', startV1Http],
  ['2026-07-28', startV2Http],
] as const) {
  describe(`over HTTP, a server of ${era}`, () => {
    test('is recognised and answers calls', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      assert.equal(connection.era, era);
      assert.equal(connection.protocolVersion, era);
      assert.equal(connection.instructions, 'A peer for tests.');
      assert.equal(textOf(await call(connection, 'echo', { text: 'hello' })), 'hello');
      assert.deepEqual(peer.state.log.all(), [{ event: 'called', tool: 'echo', arguments: { text: 'hello' } }]);
    });

    test('one connection serves all calls of a task, another task gets another', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const server = httpServer(peer.url);
      const first = await upstreams.connect(server, scope, none);
      assert.equal(await upstreams.connect(server, scope, none), first);
      assert.notEqual(await upstreams.connect(server, { ...scope, task: 'tsk_2' }, none), first);
      assert.notEqual(await upstreams.connect(server, { ...scope, environment: 'staging' }, none), first);
    });

    test('progress comes in order, before the answer, under the token of whoever asked', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      const seen = await Promise.all(
        ['one', 'two'].map(async (token) => {
          const notes: ServerMessage[] = [];
          // Slower than the server, to show that nothing overtakes.
          const onNotification = async (message: ServerMessage) => {
            await new Promise((resolve) => setImmediate(resolve));
            notes.push(message);
          };
          await call(connection, 'progress', { steps: 50 }, { onNotification, meta: { progressToken: token } });
          return notes.map(({ params }) => [params.progressToken, params.progress]);
        }),
      );
      const expected = (token: string) => Array.from({ length: 50 }, (_, index) => [token, index + 1]);
      assert.deepEqual(seen, [expected('one'), expected('two')]);
    });

    test('an aborted call is cancelled at the server and counts as possibly run', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      const controller = new AbortController();
      const answer = call(connection, 'wait_until_cancelled', { label: 'x' }, { signal: controller.signal });
      await peer.state.log.until('waiting', 'wait_until_cancelled');
      controller.abort(new Error('The agent was killed.'));
      await assert.rejects(answer, { kind: 'aborted', mayHaveRun: true, message: 'The agent was killed.' });
      await peer.state.log.until('cancelled', 'wait_until_cancelled');
      assert.equal(textOf(await call(connection, 'echo', { text: 'still here' })), 'still here');
    });

    test('a call that was aborted before it began is never sent', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      await assert.rejects(call(connection, 'echo', { text: 'x' }, { signal: AbortSignal.abort('Killed.') }), {
        kind: 'aborted',
        mayHaveRun: false,
      });
      assert.deepEqual(peer.state.log.all(), []);
    });

    test('a watched resource and the list of tools announce their changes', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      const updated = nextUnsolicited(connection, 'notifications/resources/updated');
      const changed = nextUnsolicited(connection, 'notifications/tools/list_changed');
      const stop = await connection.watch({ toolsListChanged: true, resourceSubscriptions: ['peer://note'] });
      await call(connection, 'set_note', { text: 'second' });
      assert.deepEqual((await updated).params, { uri: 'peer://note' });
      await call(connection, 'toggle_tool');
      await changed;
      await stop();
    });

    test('two watchers of one resource do not end each other', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      const [stopFirst, stopSecond] = [
        await connection.watch({ resourceSubscriptions: ['peer://note'] }),
        await connection.watch({ resourceSubscriptions: ['peer://note'] }),
      ];
      await stopFirst();
      await stopFirst();
      const updated = nextUnsolicited(connection, 'notifications/resources/updated');
      await call(connection, 'set_note', { text: 'second' });
      await updated;
      await stopSecond();
    });

    test('what belongs to a call goes to that call', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      const notes: ServerMessage[] = [];
      const meta: JsonObject = era === '2026-07-28' ? { 'io.modelcontextprotocol/logLevel': 'debug' } : {};
      const onNotification = (message: ServerMessage) => void notes.push(message);
      await call(connection, 'log', { message: 'mine' }, { onNotification, meta });
      assert.deepEqual(
        notes.map(({ method, params }) => [method, params.data]),
        [['notifications/message', 'mine']],
      );
    });

    test('ending the task ends the session at the server', async (context) => {
      const peer = await start();
      const { upstreams } = startUpstreams(context);
      context.after(peer.close);
      const connection = await upstreams.connect(httpServer(peer.url), scope, none);
      const waiting = call(connection, 'wait_until_cancelled', { label: 'x' });
      waiting.catch(() => undefined);
      await peer.state.log.until('waiting', 'wait_until_cancelled');
      await upstreams.end({ task: scope.task });
      assert.ok(connection.closed.aborted);
      await assert.rejects(waiting, { kind: 'lost', mayHaveRun: true });
      await assert.rejects(call(connection, 'echo', { text: 'x' }), { kind: 'lost', mayHaveRun: false });
      assert.equal(peer.sessionCount(), 0);
      assert.equal(upstreams.stats().connections, 0);
    });
  });
}

describe('a server of 2025-11-25 over HTTP', () => {
  test('asks for input in the course of a call and gets the answer of that call', async (context) => {
    const peer = await startV1Http();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const connection = await upstreams.connect(httpServer(peer.url), scope, all);
    const asked: ServerMessage[] = [];
    const answers: Record<string, JsonObject> = {
      'elicitation/create': { action: 'accept', content: { answer: 'yes' } },
      'sampling/createMessage': { role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled' } },
      'roots/list': { roots: [{ uri: 'file:///r' }] },
    };
    const onServerRequest = async (message: ServerMessage) => {
      asked.push(message);
      return answers[message.method] as JsonObject;
    };
    assert.equal(
      textOf(await call(connection, 'ask_form', { message: 'ok?' }, { onServerRequest })),
      'accept {"answer":"yes"}',
    );
    assert.match(textOf(await call(connection, 'sample', { prompt: 'p' }, { onServerRequest })), /sampled/);
    assert.equal(textOf(await call(connection, 'list_roots', {}, { onServerRequest })), 'file:///r');
    assert.deepEqual(
      asked.map(({ method }) => method),
      ['elicitation/create', 'sampling/createMessage', 'roots/list'],
    );
  });

  test('is told that nobody answers when nobody does', async (context) => {
    const peer = await startV1Http();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const connection = await upstreams.connect(httpServer(peer.url), scope, all);
    const answer = await call(connection, 'ask_form', { message: 'ok?' });
    assert.match(textOf(answer), /-32601|not available/);
  });

  test('a session that the server forgot is begun anew, once, and the call runs once', async (context) => {
    let session = 0;
    let forgotten = false;
    const { url, requests } = await rawServer(context, (request, response) => {
      if (request.message.method === 'initialize') session++;
      if (shakeHands(request, response, { session: `s${session}` })) return;
      if (request.headers['mcp-session-id'] !== 's2') {
        forgotten = true;
        response.writeHead(404).end();
      } else sendJson(response, reply(request, { content: [{ type: 'text', text: 'ran' }] }));
    });
    const { upstreams } = startUpstreams(context);
    const connection = await upstreams.connect(httpServer(url), scope, none);
    const answers = await Promise.all([call(connection, 'a'), call(connection, 'b')]);
    assert.deepEqual(answers.map(textOf), ['ran', 'ran']);
    assert.ok(forgotten);
    assert.equal(session, 2, 'both calls shared the new session');
    const calls = requests.filter(({ message }) => message.method === 'tools/call');
    assert.deepEqual(calls.map(({ headers }) => headers['mcp-session-id']).sort(), ['s1', 's1', 's2', 's2']);
  });

  test('a server that forgets every session makes the call fail, not loop', async (context) => {
    const { url, requests } = await rawServer(context, (request, response) => {
      if (!shakeHands(request, response, { session: 's' })) response.writeHead(404).end();
    });
    const { upstreams } = startUpstreams(context);
    const connection = await upstreams.connect(httpServer(url), scope, none);
    await assert.rejects(call(connection, 'a'), { kind: 'refused', status: 404, mayHaveRun: false });
    assert.equal(requests.filter(({ message }) => message.method === 'tools/call').length, 2);
  });

  test('a stream that the server closes early is polled after its last event, as long as it asked to wait', async (context) => {
    const { url, requests } = await rawServer(context, (request, response) => {
      if (request.method === 'GET') {
        const last = request.headers['last-event-id'];
        if (last === undefined) response.writeHead(405).end();
        else if (last === 'e2') {
          // Nothing new yet: polled again.
          sendEvents(response, 'id: e3\ndata: \n\n');
          response.end();
        } else {
          const id = requests.find(({ message }) => message.method === 'tools/call')?.message.id as number;
          sendEvents(response, { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'late' }] } });
          response.end();
        }
      } else if (!shakeHands(request, response)) {
        sendEvents(response, 'id: e1\nretry: 60\ndata: \n\n');
        const note = JSON.stringify({
          jsonrpc: '2.0',
          method: 'notifications/message',
          params: { level: 'info', data: 1 },
        });
        sendEvents(response, `id: e2\ndata: ${note}\n\n`);
        response.end();
      }
    });
    const { upstreams } = startUpstreams(context);
    const connection = await upstreams.connect(httpServer(url), scope, none);
    const notes: ServerMessage[] = [];
    assert.equal(textOf(await call(connection, 'a', {}, { onNotification: (note) => void notes.push(note) })), 'late');
    assert.equal(notes.length, 1);
    const polls = requests.filter(({ headers }) => headers['last-event-id'] !== undefined);
    assert.deepEqual(
      polls.map(({ headers }) => headers['last-event-id']),
      ['e2', 'e3'],
    );
    assert.equal(requests.filter(({ message }) => message.method === 'tools/call').length, 1, 'sent once only');
  });

  test('is spoken to in the older version that it chooses', async (context) => {
    for (const version of ['2025-06-18', '2025-03-26']) {
      const { url, requests } = await rawServer(context, (request, response) => {
        if (shakeHands(request, response, { protocolVersion: version })) return;
        const answer = reply(request, { content: [{ type: 'text', text: version }] });
        sendJson(response, version === '2025-03-26' ? [answer] : answer);
      });
      const { upstreams } = startUpstreams(context);
      const connection = await upstreams.connect(httpServer(url), scope, none);
      assert.equal(connection.era, '2025-11-25');
      assert.equal(connection.protocolVersion, version);
      assert.equal(textOf(await call(connection, 'a')), version);
      assert.equal(requests.at(-1)?.headers['mcp-protocol-version'], version);
    }
  });

  test('a server of a version that nobody knows is not spoken to', async (context) => {
    const { url } = await rawServer(context, (request, response) => {
      shakeHands(request, response, { protocolVersion: '1999-01-01' });
    });
    const { upstreams } = startUpstreams(context);
    await assert.rejects(upstreams.connect(httpServer(url), scope, none), {
      kind: 'unreachable',
      message: /1999-01-01/,
    });
  });
});

describe('a server of 2026-07-28 over HTTP', () => {
  test('gets method, name and parameters mirrored from the body, and nothing else that a caller says', async (context) => {
    const { url, requests } = await rawServer(context, (request, response) => {
      const result: JsonObject =
        request.message.method === 'server/discover'
          ? { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
          : { resultType: 'complete', content: [] };
      sendJson(response, reply(request, result));
    });
    const { upstreams } = startUpstreams(context);
    const connection = await upstreams.connect(httpServer(url), scope, none);
    await connection.request(
      {
        method: 'tools/call',
        params: {
          name: 'grüße',
          arguments: {},
          _meta: { 'io.modelcontextprotocol/protocolVersion': '1999-01-01', traceparent: 't' },
        },
        headers: {
          'Mcp-Param-Region': 'eu',
          authorization: 'Bearer stolen',
          'mcp-method': 'tools/list',
          host: 'evil.example',
        },
        clientCapabilities: { elicitation: {} },
      },
      { signal: new AbortController().signal },
    );
    const { headers, message } = requests.at(-1) as (typeof requests)[number];
    assert.equal(headers['mcp-protocol-version'], '2026-07-28');
    assert.equal(headers['mcp-method'], 'tools/call');
    assert.equal(headers['mcp-name'], `=?base64?${Buffer.from('grüße').toString('base64')}?=`);
    assert.equal(headers['mcp-param-region'], 'eu');
    assert.equal(headers.authorization, undefined);
    assert.equal(headers['mcp-session-id'], undefined);
    assert.match(String(headers.host), /^127\.0\.0\.1:/);
    assert.deepEqual((message.params as JsonObject)._meta, {
      traceparent: 't',
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'gatehouse', title: 'Gatehouse', version: '0.1.0' },
      'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    });
  });

  test('its request for input is an answer like any other', async (context) => {
    const peer = await startV2Http();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const connection = await upstreams.connect(httpServer(peer.url), scope, all);
    const first = await call(connection, 'ask_form', { message: 'ok?' });
    assert.ok('result' in first);
    assert.equal(first.result.resultType, 'input_required');
    const { requestState } = first.result;
    const second = await connection.request(
      {
        method: 'tools/call',
        params: {
          name: 'ask_form',
          arguments: { message: 'ok?' },
          inputResponses: { form: { action: 'accept', content: { answer: 'yes' } } },
          ...(requestState !== undefined && { requestState }),
        },
      },
      { signal: new AbortController().signal },
    );
    assert.equal(textOf(second), 'accept {"answer":"yes"}');
  });

  test('an error with its HTTP status is the answer to the call', async (context) => {
    const peer = await startV2Http();
    const { upstreams } = startUpstreams(context);
    context.after(peer.close);
    const connection = await upstreams.connect(httpServer(peer.url), scope, none);
    const answer = await connection.request(
      { method: 'no/such', params: {} },
      { signal: new AbortController().signal },
    );
    assert.ok('error' in answer);
    assert.equal(answer.error.code, -32601);
  });

  test('a subscription that the server ends is opened again', async (context) => {
    let listens = 0;
    const { url } = await rawServer(context, (request, response) => {
      const { id, method } = request.message;
      if (method === 'server/discover') {
        const result = {
          resultType: 'complete',
          supportedVersions: ['2026-07-28'],
          capabilities: { tools: { listChanged: true } },
        };
        return sendJson(response, reply(request, result));
      }
      const _meta = { 'io.modelcontextprotocol/subscriptionId': id as number };
      sendEvents(response, {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: { _meta, notifications: { toolsListChanged: true } },
      });
      if (++listens === 1) sendEvents(response, reply(request, { resultType: 'complete', _meta }));
      else sendEvents(response, { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta } });
      if (listens === 1) response.end();
    });
    const { upstreams } = startUpstreams(context, { limits: { retryDefaultMs: 10 } });
    const connection = await upstreams.connect(httpServer(url), scope, none);
    const changed = nextUnsolicited(connection, 'notifications/tools/list_changed');
    await connection.watch({ toolsListChanged: true });
    assert.deepEqual((await changed).params, {});
    assert.equal(listens, 2);
  });
});
