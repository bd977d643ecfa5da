import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient, resultFromTaskOutcome } from '@modelcontextprotocol/ext-tasks/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { createPeerState, type HttpPeerHandle } from '../../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../../../../test/peers/v2-server.ts';
import { isJsonObject, type JsonObject } from '../../../platform/index.ts';
import { doorLimits } from '../limits.ts';
import { codes } from '../rpc.ts';
import { as, openSession, post, postModern, startGate, type TestGate } from '../testing/gate.ts';

const extension = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const calls = (peer: HttpPeerHandle) => peer.state.log.all().filter(({ event }) => event === 'called').length;
const resultOf = (body: JsonObject) => (isJsonObject(body.result) ? body.result : {});
const errorOf = (body: JsonObject) => (isJsonObject(body.error) ? body.error : {});
const request = (method: string, params: JsonObject) => ({ jsonrpc: '2.0', id: 1, method, params });
const echo = (text: string) => ({ name: 'echo', arguments: { text } });

for (const [serverName, startPeer] of Object.entries({
  'a 2025-11-25 server': startV1Http,
  'a 2026-07-28 server': startV2Http,
})) {
  describe(`a call that waits as an MCP task, at ${serverName}`, () => {
    let peer: HttpPeerHandle;
    let gate: TestGate;
    let verdict: 'ask' | 'allow' | 'refuse' = 'ask';

    before(async () => {
      peer = await startPeer(createPeerState());
    });
    beforeEach(async () => {
      await gate?.close();
      verdict = 'ask';
      gate = await startGate(
        { peer: { url: peer.url, tools: { echo: { tier: 3, effects: ['send'] } } } },
        { verdict: ({ operation }) => (operation === 'tools/call' ? verdict : 'allow') },
      );
    });
    after(async () => {
      await gate.close();
      await peer.close();
    });

    const wire = {
      '2025-11-25': async (of: { task?: string; server?: string } = {}) => {
        const url = gate.url(of.server ?? 'peer');
        const headers = await openSession(url, of.task === undefined ? {} : { task: of.task });
        return async (method: string, params: JsonObject) => (await post(url, request(method, params), headers)).body;
      },
      '2026-07-28': async (of: { task?: string; server?: string } = {}) => {
        const url = gate.url(of.server ?? 'peer');
        const options = { capabilities: extension, headers: as('agent', of.task ?? 'tsk_1') };
        return async (method: string, params: JsonObject) => (await postModern(url, method, params, options)).body;
      },
    };

    for (const era of ['2025-11-25', '2026-07-28'] as const) {
      const open = (of: { task?: string; server?: string } = {}) => wire[era](of);
      const start = async (send: (method: string, params: JsonObject) => Promise<JsonObject>, text = 'grave') => {
        const body = await send('tools/call', {
          ...echo(text),
          ...(era === '2025-11-25' && { task: { ttl: 60_000 } }),
        });
        return era === '2025-11-25' ? (resultOf(body).task as JsonObject) : resultOf(body);
      };
      const ended = async (send: (method: string, params: JsonObject) => Promise<JsonObject>, taskId: string) => {
        for (;;) {
          const task = resultOf(await send('tasks/get', { taskId }));
          if (task.status !== 'working') return task;
        }
      };

      /** @proves waiting.mcp-task */
      test(`${era}: says what is waited for and where, runs once after the yes, and keeps what came of it`, async () => {
        const before = calls(peer);
        const send = await open();
        const task = await start(send);
        const [approval] = gate.approvals.all();
        assert.equal(task.status, 'working');
        assert.match(String(task.statusMessage), new RegExp(`waits at ${gate.origin}/approvals/${approval?.id}`));
        assert.ok(Number(task.pollInterval ?? task.pollIntervalMs) > 0);
        assert.ok(Number(task.ttl ?? task.ttlMs) >= 60_000);
        const taskId = String(task.taskId);
        const again = await start(send);
        assert.equal(again.taskId, taskId, 'the call sent again is the same task');
        assert.equal(resultOf(await send('tasks/get', { taskId })).status, 'working');
        assert.equal(calls(peer), before);
        gate.approvals.decide(approval?.id ?? '', 'approved');
        const done = await ended(send, taskId);
        assert.equal(done.status, 'completed');
        const result =
          era === '2025-11-25' ? resultOf(await send('tasks/result', { taskId })) : (done.result as JsonObject);
        assert.match(JSON.stringify(result.content), /grave/);
        if (era === '2025-11-25')
          assert.deepEqual((result._meta as JsonObject)['io.modelcontextprotocol/related-task'], { taskId });
        assert.equal((await ended(send, taskId)).status, 'completed');
        assert.equal(calls(peer), before + 1);
      });

      test(`${era}: what its server makes a task of is waited for, in the one call that was approved`, async () => {
        const send = await open();
        const more: JsonObject = era === '2025-11-25' ? { task: {} } : {};
        const made = await send('tools/call', { name: 'long_job', arguments: { ms: 20 }, ...more });
        const { taskId } = era === '2025-11-25' ? (resultOf(made).task as JsonObject) : resultOf(made);
        gate.approvals.decide(gate.approvals.all()[0]?.id ?? '', 'approved');
        const done = await ended(send, String(taskId));
        const result = era === '2025-11-25' ? await send('tasks/result', { taskId: String(taskId) }) : done.result;
        assert.match(JSON.stringify([done, result]), /"completed".*job done/);
        const sent = gate.enforcement.decided.filter(({ verdict }) => verdict === 'sent');
        assert.deepEqual(
          sent.map(({ operation }) => operation),
          ['tools/call'],
        );
      });

      test(`${era}: fails with the reason when somebody says no`, async () => {
        const before = calls(peer);
        const send = await open();
        const taskId = String((await start(send)).taskId);
        gate.approvals.decide(gate.approvals.all()[0]?.id ?? '', 'denied');
        const done = await ended(send, taskId);
        assert.equal(done.status, 'failed');
        assert.match(String(done.statusMessage), /approver@example\.test said no: not today/);
        const error =
          era === '2025-11-25' ? errorOf(await send('tasks/result', { taskId })) : (done.error as JsonObject);
        assert.match(String(error.message), /said no: not today/);
        assert.equal(calls(peer), before);
      });

      test(`${era}: is withdrawn by its agent, and then runs no more`, async () => {
        const before = calls(peer);
        const send = await open();
        const taskId = String((await start(send)).taskId);
        const [approval] = gate.approvals.all();
        await send('tasks/cancel', { taskId });
        assert.equal((await gate.approvals.get(approval?.id ?? ''))?.state, 'cancelled');
        assert.equal(resultOf(await send('tasks/get', { taskId })).status, 'cancelled');
        assert.equal(calls(peer), before);
        if (era === '2025-11-25')
          assert.equal(errorOf(await send('tasks/cancel', { taskId })).code, codes.invalidParams);
      });

      test(`${era}: where there is no room for one, nobody is asked in vain`, async () => {
        const send = await open();
        for (let at = 0; at < doorLimits.waitingTasksPerTask; at++) await start(send, `call ${at}`);
        const more = await send('tools/call', { ...echo('one more'), ...(era === '2025-11-25' && { task: {} }) });
        const asked = gate.approvals.all().length - doorLimits.waitingTasksPerTask;
        if (era === '2025-11-25') assert.deepEqual([asked, errorOf(more).code], [0, codes.limit]);
        else assert.match(JSON.stringify([asked, more]), /^\[1,.*"gatehouse\/approval":\{"id":"apr_/);
      });

      /** @proves waiting.mcp-task-own */
      test(`${era}: is there for the agent and task that made it, at its address, and for nobody else`, async () => {
        const send = await open();
        const taskId = String((await start(send)).taskId);
        const other = await open({ task: 'tsk_2' });
        for (const method of ['tasks/get', 'tasks/cancel', era === '2025-11-25' ? 'tasks/result' : 'tasks/update'])
          assert.equal(errorOf(await other(method, { taskId, inputResponses: {} })).code, codes.invalidParams, method);
        const otherEra = await wire[era === '2025-11-25' ? '2026-07-28' : '2025-11-25']();
        assert.equal(errorOf(await otherEra('tasks/get', { taskId })).code, codes.invalidParams);
        assert.equal(
          errorOf(await send('tasks/get', { taskId: taskId.replace(/.$/, (last) => (last === '0' ? '1' : '0')) })).code,
          codes.invalidParams,
        );
        if (era === '2025-11-25') {
          const listed = async (by: typeof send) => (resultOf(await by('tasks/list', {})).tasks as JsonObject[]).length;
          assert.deepEqual([await listed(send), await listed(other)], [1, 0]);
        }
        assert.equal(resultOf(await send('tasks/get', { taskId })).status, 'working');
      });
    }

    test('2026-07-28: a client that can open addresses is asked to, once', async () => {
      const options = { capabilities: { ...extension, elicitation: { url: {} } } };
      const send = async (method: string, params: JsonObject) =>
        resultOf((await postModern(gate.url('peer'), method, params, options)).body);
      const { taskId } = await send('tools/call', echo('grave'));
      const asked = await send('tasks/get', { taskId: String(taskId) });
      assert.equal(asked.status, 'input_required');
      const url = `${gate.origin}/approvals/${gate.approvals.all()[0]?.id}`;
      assert.ok(JSON.stringify(asked.inputRequests).includes(url));
      const inputResponses = { gatehouse_approval: { action: 'accept' } };
      await send('tasks/update', { taskId: String(taskId), inputResponses });
      const after = await send('tasks/get', { taskId: String(taskId) });
      assert.deepEqual([after.status, after.inputRequests], ['working', undefined]);
    });

    test('2025-11-25: the SDK’s client runs it from the start to the result, and is offered tasks for what needs a person', async () => {
      const client = new Client({ name: 'client', version: '1' }, { capabilities: { tasks: {} } });
      const transport = new StreamableHTTPClientTransport(new URL(gate.url('peer')), {
        requestInit: { headers: as() },
      });
      await client.connect(transport);
      assert.ok(client.getServerCapabilities()?.tasks?.requests?.tools?.call);
      const { tools } = await client.listTools();
      assert.equal(tools.find(({ name }) => name === 'echo')?.execution?.taskSupport, 'optional');
      const seen: string[] = [];
      for await (const message of client.experimental.tasks.callToolStream(echo('sdk'), CallToolResultSchema)) {
        seen.push(message.type);
        if (message.type === 'taskCreated') {
          assert.match(message.task.statusMessage ?? '', /waits at http/);
          gate.approvals.decide(gate.approvals.all()[0]?.id ?? '', 'approved');
        }
        if (message.type === 'error') throw message.error;
        if (message.type === 'result') assert.match(JSON.stringify(message.result.content), /sdk/);
      }
      assert.deepEqual([seen[0], seen.at(-1)], ['taskCreated', 'result']);
      await client.close();
    });

    test('2026-07-28: the extension’s own client runs it from the start to the result', async () => {
      const headers = as();
      const transport = new ModernTransport(new URL(gate.url('peer')), { requestInit: { headers } });
      const clientInfo = { name: 'client', version: '1' };
      const client = new ModernClient(clientInfo, { versionNegotiation: { mode: 'auto' }, capabilities: extension });
      await client.connect(transport);
      const session = createTaskSessionFromClient(client, {
        endpointId: 'gate',
        v2RequestFraming: { protocolVersion: '2026-07-28', clientInfo, clientCapabilities: extension },
        async rawDispatch(message) {
          const { method, params } = message as { method: string; params: JsonObject };
          const { _meta, ...plain } = params;
          return (await postModern(gate.url('peer'), method, plain, { capabilities: extension })).body as never;
        },
      });
      const execution = await session.callTool('echo', { text: 'extension' });
      gate.approvals.decide(gate.approvals.all()[0]?.id ?? '', 'approved');
      const { outcome } = await execution.settle();
      assert.match(JSON.stringify(resultFromTaskOutcome(outcome)), /extension/);
      await session.close();
      await client.close();
    });

    test('2025-11-25: its state is told on the stream of the session', async () => {
      const headers = await openSession(gate.url('peer'));
      const listening = new AbortController();
      const stream = await fetch(gate.url('peer'), {
        headers: { accept: 'text/event-stream', ...headers },
        signal: listening.signal,
      });
      const { body } = await post(gate.url('peer'), request('tools/call', { ...echo('told'), task: {} }), headers);
      const { taskId } = resultOf(body).task as JsonObject;
      gate.approvals.decide(gate.approvals.all()[0]?.id ?? '', 'approved');
      let heard = '';
      for await (const chunk of stream.body ?? []) {
        heard += Buffer.from(chunk as Uint8Array).toString();
        if (heard.includes('"status":"completed"')) break;
      }
      assert.match(heard, /notifications\/tasks\/status/);
      assert.ok(heard.includes(String(taskId)));
      listening.abort();
    });

    test('2026-07-28: its state is told to who subscribes to it, and to nobody else', async () => {
      const { body } = await postModern(gate.url('peer'), 'tools/call', echo('told'), { capabilities: extension });
      const taskId = String(resultOf(body).taskId);
      const meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': extension,
      };
      const listen = async (task: string) => {
        const controller = new AbortController();
        const { body: stream } = await fetch(gate.url('peer'), {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'mcp-protocol-version': '2026-07-28',
            'mcp-method': 'subscriptions/listen',
            ...as('agent', task),
          },
          body: JSON.stringify(request('subscriptions/listen', { notifications: { taskIds: [taskId] }, _meta: meta })),
          signal: controller.signal,
        });
        let heard = '';
        for await (const chunk of stream ?? []) {
          heard += Buffer.from(chunk as Uint8Array).toString();
          if (!heard.includes('taskIds') || heard.includes('"status":"completed"')) break;
          const [approval] = gate.approvals.all();
          if (heard.includes('"status":"working"') && approval?.state === 'pending')
            gate.approvals.decide(approval.id, 'approved');
        }
        controller.abort();
        return heard;
      };
      assert.doesNotMatch(await listen('tsk_2'), /mcp_/);
      assert.match(await listen('tsk_1'), /"method":"notifications\/tasks"[^\n]*"status":"completed"[^\n]*told/);
    });

    test('2025-11-25: what needs nobody runs as a task as well, where its server has none', async () => {
      verdict = 'allow';
      const send = await wire['2025-11-25']();
      const body = await send('tools/call', { ...echo('at once'), task: {} });
      const task = resultOf(body).task as JsonObject;
      assert.equal(task.status, 'working');
      assert.match(JSON.stringify(await send('tasks/result', { taskId: String(task.taskId) })), /at once/);
      verdict = 'refuse';
      const refused = await send('tools/call', { ...echo('never'), task: {} });
      assert.match(JSON.stringify(refused), /policy\.no-permit/);
    });
  });
}
