import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createPeerState, type HttpPeerHandle } from '../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';
import { as, openSession, post, postModern, startGate, type TestGate } from './testing/gate.ts';

const all = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const wait = { name: 'wait_until_cancelled', arguments: { label: 'x' } };
const asksForm = { name: 'ask_form', arguments: { message: 'Name?' } };
const call = (params: JsonObject, id = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params });
const resultOf = (body: JsonObject) => (isJsonObject(body.result) ? body.result : {});

/** @proves law-6.final */
describe('when the agent is killed, its task ends or the gate shuts down', () => {
  let peer: HttpPeerHandle;
  let gate: TestGate;
  const url = () => gate.url('peer');
  const stream = (headers: Record<string, string>) =>
    fetch(url(), { headers: { accept: 'text/event-stream', ...headers } });
  /** With its acknowledgement there; the answer ends with the subscription. */
  const listen = async (id: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const notifications = { toolsListChanged: true };
    const answer = postModern(url(), 'subscriptions/listen', { notifications }, { id, onHead: resolve });
    await Promise.race([promise, answer]);
    return { answer };
  };
  const until = async (done: () => boolean) => {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  beforeEach(async () => {
    peer = await startV1Http(createPeerState());
    gate = await startGate({ peer: { url: peer.url } });
  });
  afterEach(async () => {
    await gate.close();
    await peer.close();
  });

  for (const [what, end] of Object.entries({
    kill: () => gate.enforcement.stop({ agent: 'agent' }, 'the agent was killed'),
    'end of the task': () => gate.enforcement.stop({ task: 'tsk_1' }, 'the task has ended'),
  })) {
    test(`${what}: a session ends with its streams, and its calls are answered and cancelled`, async () => {
      const headers = await openSession(url());
      const events = (await stream(headers)).text();
      const running = post(url(), call(wait, 9), headers);
      await peer.state.log.until('waiting', 'wait_until_cancelled');
      end();
      const { text } = await running;
      assert.match(text, /"id":9,"(error|result)"/);
      assert.match(text, /the (agent was killed|task has ended)/);
      await events;
      await peer.state.log.until('cancelled', 'wait_until_cancelled');
      assert.equal((await post(url(), call(wait), headers)).status, 404);
      assert.equal(gate.door.stats().sessions, 0);
    });

    test(`${what}: a subscription ends with an error that says so`, async () => {
      const { answer } = await listen(4);
      end();
      const { body } = await answer;
      assert.partialDeepStrictEqual(body, { id: 4, error: { code: codes.ended } });
      assert.equal(gate.door.stats().listens, 0);
    });

    test(`${what}: a parked call is cancelled at the server, and its state opens nothing`, async () => {
      const { body } = await postModern(url(), 'tools/call', asksForm, { capabilities: all });
      assert.equal(gate.door.stats().parked, 1);
      end();
      assert.equal(gate.door.stats().parked, 0);
      await until(() => gate.enforcement.outcomes.some(({ kind }) => kind === 'unknown'));
      const retry = { ...asksForm, requestState: String(resultOf(body).requestState), inputResponses: {} };
      const after = await postModern(url(), 'tools/call', retry, { capabilities: all });
      assert.partialDeepStrictEqual(after.body, { error: { code: codes.unknown } });
    });
  }

  test('kill: a call that waits for an approval is answered at once', async () => {
    await gate.close();
    gate = await startGate({ peer: { url: peer.url } }, { verdict: () => 'ask' });
    const headers = await openSession(url(), { capabilities: all });
    const params = { name: 'echo', arguments: { text: 'x' }, _meta: { progressToken: 1 } };
    const legacy = post(url(), call(params), headers);
    await gate.approvals.opened();
    const { _meta, ...plain } = params;
    const modern = postModern(url(), 'tools/call', plain, { meta: { progressToken: 2 } });
    await until(() => gate.approvals.waiting() === 2);
    gate.enforcement.stop({ agent: 'agent' }, 'the agent was killed');
    assert.match((await legacy).text, /killed/);
    assert.partialDeepStrictEqual((await modern).body, { error: { code: codes.ended } });
    assert.equal(peer.state.log.all().length, 0);
  });

  test('nothing of another agent or task ends with it', async () => {
    const other = await openSession(url(), { task: 'tsk_2' });
    await openSession(url());
    gate.enforcement.stop({ task: 'tsk_1' }, 'the task has ended');
    assert.equal((await post(url(), { jsonrpc: '2.0', id: 1, method: 'ping' }, other)).status, 200);
    assert.equal(gate.door.stats().sessions, 1);
  });

  test('shutdown: subscriptions end gracefully', async () => {
    const { answer } = await listen(5);
    await gate.door.close();
    const { body } = await answer;
    assert.partialDeepStrictEqual(body, { id: 5, result: { resultType: 'complete' } });
  });
});

describe('a parked call', () => {
  let peer: HttpPeerHandle;
  let gate: TestGate;
  const url = () => gate.url('peer');
  const park = () => postModern(url(), 'tools/call', asksForm, { capabilities: all });
  const answerFor = (body: JsonObject) => {
    const { requestState, inputRequests } = resultOf(body);
    const inputResponses = Object.fromEntries(
      Object.keys(inputRequests as JsonObject).map((key) => [key, { action: 'accept', content: { name: 'Ada' } }]),
    );
    return { ...asksForm, requestState: String(requestState), inputResponses };
  };

  beforeEach(async () => {
    peer = await startV1Http(createPeerState());
    gate = await startGate({ peer: { url: peer.url } });
  });
  afterEach(async () => {
    await gate.close();
    await peer.close();
  });

  test('is one action, however many rounds it has', async () => {
    const { body } = await park();
    const done = await postModern(url(), 'tools/call', answerFor(body), { capabilities: all });
    assert.equal(resultOf(done.body).resultType, 'complete');
    assert.equal(gate.enforcement.decided.filter(({ operation }) => operation === 'tools/call').length, 1);
    assert.equal(gate.door.stats().parked, 0);
  });

  test('is asked for again when an answer is missing', async () => {
    const { body } = await park();
    const again = await postModern(
      url(),
      'tools/call',
      { ...answerFor(body), inputResponses: { other: {} } },
      { capabilities: all },
    );
    assert.deepEqual(resultOf(again.body).inputRequests, resultOf(body).inputRequests);
    const done = await postModern(url(), 'tools/call', answerFor(again.body), { capabilities: all });
    assert.equal(resultOf(done.body).resultType, 'complete');
  });

  test('goes on for nobody but who made it', async () => {
    const { body } = await park();
    for (const headers of [as('agent', 'tsk_2'), as('other')]) {
      const stolen = await postModern(url(), 'tools/call', answerFor(body), { capabilities: all, headers });
      assert.partialDeepStrictEqual(stolen.body, { error: { code: codes.invalidParams } });
    }
    const changed = { ...answerFor(body), arguments: { message: 'Password?' } };
    const other = await postModern(url(), 'tools/call', changed, { capabilities: all });
    assert.partialDeepStrictEqual(other.body, { error: { code: codes.invalidParams } });
    assert.equal(gate.door.stats().parked, 1);
  });

  test('is one of a bounded number', async () => {
    for (let count = 0; count < doorLimits.parkedPerTask; count++) await park();
    const { body } = await park();
    assert.partialDeepStrictEqual(body, { error: { code: codes.limit } });
    assert.equal(gate.door.stats().parked, doorLimits.parkedPerTask);
  });

  test('is cancelled at the server when the client leaves before it is parked', async () => {
    const leave = new AbortController();
    const headers = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': wait.name,
    };
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const left = post(url(), call({ ...wait, _meta }), headers, leave.signal);
    await peer.state.log.until('waiting', 'wait_until_cancelled');
    leave.abort();
    await assert.rejects(left);
    await peer.state.log.until('cancelled', 'wait_until_cancelled');
  });
});
