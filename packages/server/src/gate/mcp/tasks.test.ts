import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { startFixture } from '../../../../../conformance/fixture/server.ts';
import { createPeerState, type HttpPeerHandle } from '../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { codes } from './rpc.ts';
import { as, openSession, post, postModern, startGate, type TestGate } from './testing/gate.ts';
import { startRawServer } from './testing/raw-server.ts';

const resultOf = (body: JsonObject) => (isJsonObject(body.result) ? body.result : {});
const codeOf = (body: JsonObject) => (isJsonObject(body.error) ? body.error.code : undefined);
const extension = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

describe('MCP tasks of 2025-11-25', () => {
  let peer: HttpPeerHandle;
  let gate: TestGate;
  const request = (method: string, params: JsonObject) => ({ jsonrpc: '2.0', id: 1, method, params });

  before(async () => {
    peer = await startV1Http(createPeerState());
    gate = await startGate({ peer: { url: peer.url } });
  });
  after(async () => {
    await gate.close();
    await peer.close();
  });

  for (const server of ['peer', undefined]) {
    const name = server ? 'long_job' : 'peer__long_job';
    const start = async (headers: Record<string, string>) => {
      const params = { name, arguments: { ms: 60_000 }, task: { ttl: 60_000 } };
      const { body } = await post(gate.url(server), request('tools/call', params), headers);
      return String((resultOf(body).task as JsonObject).taskId);
    };

    test(`run from the start to the result with the SDK's client, at ${server ?? 'all servers'}`, async () => {
      const client = new Client({ name: 'client', version: '1' }, { capabilities: { tasks: {} } });
      await client.connect(
        new StreamableHTTPClientTransport(new URL(gate.url(server)), { requestInit: { headers: as() } }),
      );
      assert.deepEqual(client.getServerCapabilities()?.tasks, {
        list: {},
        cancel: {},
        requests: { tools: { call: {} } },
      });
      await client.listTools();
      const seen: string[] = [];
      const params = { name, arguments: { ms: 50 } };
      for await (const message of client.experimental.tasks.callToolStream(params, CallToolResultSchema, {
        task: { ttl: 60_000 },
      })) {
        seen.push(message.type);
        if (message.type === 'result')
          assert.equal(message.result.content[0]?.type === 'text' && message.result.content[0].text, 'job done');
        if (message.type === 'error') throw message.error;
      }
      assert.deepEqual([seen[0], seen.at(-1)], ['taskCreated', 'result']);
      assert.ok(gate.enforcement.decided.some(({ operation }) => operation === 'tasks/result'));
      await client.close();
    });

    test(`are there for the task of the gate that started them, and for no other, at ${server ?? 'all servers'}`, async () => {
      const headers = await openSession(gate.url(server));
      const taskId = await start(headers);
      assert.equal(taskId.startsWith('peer+'), server === undefined);
      const owned = await post(gate.url(server), request('tasks/get', { taskId }), headers);
      assert.deepEqual([resultOf(owned.body).taskId, resultOf(owned.body).status], [taskId, 'working']);
      const listed = await post(gate.url(server), request('tasks/list', {}), headers);
      assert.ok((resultOf(listed.body).tasks as JsonObject[]).some((task) => task.taskId === taskId));

      const foreign = await openSession(gate.url(server), { task: 'tsk_2' });
      const sent = gate.enforcement.decided.length;
      for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel'])
        assert.equal(
          codeOf((await post(gate.url(server), request(method, { taskId }), foreign)).body),
          codes.invalidParams,
        );
      assert.deepEqual(resultOf((await post(gate.url(server), request('tasks/list', {}), foreign)).body).tasks, []);
      assert.equal(gate.enforcement.decided.length, sent);

      const cancelled = await post(gate.url(server), request('tasks/cancel', { taskId }), headers);
      assert.equal(resultOf(cancelled.body).status, 'cancelled');
    });
  }

  test('are unknown when nobody started them', async () => {
    const headers = await openSession(gate.url('peer'));
    assert.equal(
      codeOf((await post(gate.url('peer'), request('tasks/get', { taskId: 'guess' }), headers)).body),
      codes.invalidParams,
    );
  });
});

describe('the tasks extension of 2026-07-28', () => {
  let fixture: Awaited<ReturnType<typeof startFixture>>;
  let gate: TestGate;

  before(async () => {
    fixture = await startFixture();
    gate = await startGate({ fixture: { url: fixture.url } });
  });
  after(async () => {
    await gate.close();
    await fixture.close();
  });

  test('is offered where a server has it', async () => {
    const { body } = await postModern(gate.url('fixture'), 'server/discover', {}, { capabilities: extension });
    assert.deepEqual((resultOf(body).capabilities as JsonObject).extensions, extension.extensions);
  });

  test('a task is there for the task of the gate that started it, and for no other', async () => {
    for (const [server, name] of [
      ['fixture', 'slow_compute'],
      [undefined, 'fixture__slow_compute'],
    ] as const) {
      const url = gate.url(server);
      const options = { capabilities: extension };
      const started = await postModern(url, 'tools/call', { name, arguments: { seconds: 0 } }, options);
      const { resultType, taskId } = resultOf(started.body);
      assert.equal(resultType, 'task');
      const owned = await postModern(url, 'tasks/get', { taskId: String(taskId) }, options);
      assert.equal(resultOf(owned.body).taskId, taskId);
      const foreign = { ...options, headers: as('agent', 'tsk_2') };
      for (const method of ['tasks/get', 'tasks/cancel'])
        assert.equal(
          codeOf((await postModern(url, method, { taskId: String(taskId) }, foreign)).body),
          codes.invalidParams,
        );
    }
  });

  test('a server that makes a task for a client that knows none is not believed', async () => {
    const server = await startRawServer({
      era: '2026-07-28',
      answer: () => ({ result: { resultType: 'task', taskId: 't' } }),
    });
    const raw = await startGate({ raw: { url: server.url } });
    const { body } = await postModern(raw.url('raw'), 'tools/call', { name: 'tool' });
    assert.equal(resultOf(body).resultType, 'complete');
    await raw.close();
    await server.close();
  });

  test('what a task asks its client is decided on once, and what is refused is not shown', async () => {
    const phishing = {
      method: 'elicitation/create',
      params: { mode: 'url', url: 'https://evil.example', message: 'x' },
    };
    const roots = { method: 'roots/list' };
    const server = await startRawServer({
      era: '2026-07-28',
      answer: ({ method }): JsonObject => ({
        result: (method === 'tools/call'
          ? { resultType: 'task', taskId: 't', status: 'working' }
          : {
              resultType: 'complete',
              taskId: 't',
              status: 'input_required',
              inputRequests: { roots, phishing },
            }) as JsonObject,
      }),
    });
    const raw = await startGate(
      { raw: { url: server.url } },
      { verdict: ({ operation }) => (operation.endsWith(':url') ? 'refuse' : 'allow') },
    );
    const options = { capabilities: { ...extension, roots: {}, elicitation: { url: {} } } };
    await postModern(raw.url('raw'), 'tools/call', { name: 'tool' }, options);
    for (const _poll of [1, 2]) {
      const { body } = await postModern(raw.url('raw'), 'tasks/get', { taskId: 't' }, options);
      assert.deepEqual(resultOf(body).inputRequests, { roots: { ...roots, params: {} } });
    }
    assert.deepEqual(
      raw.enforcement.decided
        .filter(({ operation }) => !operation.startsWith('t'))
        .map(({ operation, verdict }) => [operation, verdict]),
      [
        ['roots/list', 'sent'],
        ['elicitation/create:url', 'refused'],
      ],
    );
    await raw.close();
    await server.close();
  });
});

/** @proves law-9.task-results */
describe('what an MCP task brings', () => {
  const request = (method: string, params: JsonObject) => ({ jsonrpc: '2.0', id: 1, method, params });
  const asked = (message: string) => ({ method: 'elicitation/create', params: { message } });
  const started = { operation: 'tools/call', name: 'tool', arguments: { n: 7 }, obligations: undefined };

  test('is decided on as the call that started it, in 2025-11-25, and a list of tasks says nothing of results', async () => {
    const server = await startRawServer({
      era: '2025-11-25',
      offered: { tools: {}, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
      answer: ({ method }): JsonObject => {
        const task = { taskId: 't', status: 'working', statusMessage: 'a row', rows: ['a row'] };
        if (method === 'tools/call') return { result: { task } };
        return {
          result: method === 'tasks/list' ? { tasks: [task] } : method === 'tasks/get' ? task : { content: [] },
        };
      },
    });
    const gate = await startGate({ raw: { url: server.url } });
    const headers = await openSession(gate.url('raw'), { capabilities: { tasks: {} } });
    const call = (method: string, params: JsonObject) => post(gate.url('raw'), request(method, params), headers);
    await call('tools/call', { name: 'tool', arguments: { n: 7 }, task: { ttl: 1_000 } });
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      await call(method, { taskId: 't' });
      assert.deepEqual(gate.enforcement.decided.at(-1)?.of, started, method);
    }
    const list = await call('tasks/list', {});
    assert.deepEqual(resultOf(list.body).tasks, [{ taskId: 't', status: 'working' }]);
    await gate.close();
    await server.close();
  });

  test('is decided on as the call that started it, in 2026-07-28, and what it asks is shown as it was decided on', async () => {
    let polls = 0;
    const server = await startRawServer({
      era: '2026-07-28',
      answer: ({ method }): JsonObject => ({
        result:
          method === 'tools/call'
            ? { resultType: 'task', taskId: 't', status: 'working' }
            : {
                resultType: 'complete',
                taskId: 't',
                status: 'input_required',
                inputRequests: { key: asked(++polls === 1 ? 'UNSHOWN' : 'another question') },
              },
      }),
    });
    const gate = await startGate({ raw: { url: server.url } });
    const options = { capabilities: { ...extension, elicitation: {} } };
    await postModern(gate.url('raw'), 'tools/call', { name: 'tool', arguments: { n: 7 } }, options);
    for (const _poll of [1, 2]) {
      const { body } = await postModern(gate.url('raw'), 'tasks/get', { taskId: 't' }, options);
      assert.deepEqual(resultOf(body).inputRequests, { key: asked('[shown]') });
    }
    const { decided } = gate.enforcement;
    for (const operation of ['tasks/get', 'elicitation/create'])
      assert.deepEqual(decided.find((each) => each.operation === operation)?.of, started, operation);
    await gate.close();
    await server.close();
  });
});

test('a task whose creation was held until a person released it belongs to whom it is given', async () => {
  const server = await startRawServer({
    era: '2026-07-28',
    answer: (): JsonObject => ({ result: { resultType: 'complete', taskId: 't', status: 'working' } }),
  });
  const released = { resultType: 'task', taskId: 't', status: 'working' };
  const gate = await startGate(
    { raw: { url: server.url } },
    { verdict: ({ operation }) => (operation === 'tools/call' ? { released } : 'allow') },
  );
  const options = { capabilities: extension };
  await postModern(gate.url('raw'), 'tools/call', { name: 'tool', arguments: { n: 7 } }, options);
  const { body } = await postModern(gate.url('raw'), 'tasks/get', { taskId: 't' }, options);
  assert.equal(resultOf(body).taskId, 't', JSON.stringify(body));
  const of = { operation: 'tools/call', name: 'tool', arguments: { n: 7 }, obligations: undefined };
  assert.deepEqual(gate.enforcement.decided.at(-1)?.of, of);
  await gate.close();
  await server.close();
});

/** @proves result.other-roads */
test('what a server asks instead of answering is shown as enforcement lets it be seen, and nothing is asked in a finished result', async () => {
  const inputRequests = { key: { method: 'elicitation/create', params: { message: 'UNSHOWN' } } };
  const server = await startRawServer({
    era: '2026-07-28',
    answer: ({ params }): JsonObject => ({
      result: {
        content: [],
        inputRequests,
        resultType: isJsonObject(params) && params.name === 'tool' ? 'input_required' : 'complete',
      },
    }),
    tools: ['tool', 'other'].map((name) => ({ name, inputSchema: { type: 'object' } })),
  });
  const gate = await startGate({ raw: { url: server.url } });
  const options = { capabilities: { elicitation: {} } };
  const asks = await postModern(gate.url('raw'), 'tools/call', { name: 'tool', arguments: {} }, options);
  assert.deepEqual(resultOf(asks.body).inputRequests, {
    key: { method: 'elicitation/create', params: { message: '[shown]' } },
  });
  const { decided } = gate.enforcement;
  assert.equal(decided.find(({ operation }) => operation === 'elicitation/create')?.of?.name, 'tool');
  const done = await postModern(gate.url('raw'), 'tools/call', { name: 'other', arguments: {} }, options);
  assert.deepEqual(resultOf(done.body), { content: [], resultType: 'complete' });
  await gate.close();
  await server.close();
});
