import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { connectV1, connectV2 } from '../../../../../test/peers/clients.ts';
import { createPeerState, type HttpPeerHandle } from '../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../../../test/peers/v2-server.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { codes } from './rpc.ts';
import { as, openSession, post, postModern, startGate, type TestGate } from './testing/gate.ts';
import { startRawServer } from './testing/raw-server.ts';

const url = { elicitation: { form: {}, url: {} } };
const echo = { name: 'echo', arguments: { text: 'grave' } };
const calls = (peer: HttpPeerHandle) => peer.state.log.all().filter(({ event }) => event === 'called').length;
const textOf = (body: JsonObject) => JSON.stringify(body.result ?? body.error);
const stateOf = (body: JsonObject) => {
  const result = isJsonObject(body.result) ? body.result : {};
  return String(result.requestState);
};

for (const [serverName, start] of Object.entries({
  'a 2025-11-25 server': startV1Http,
  'a 2026-07-28 server': startV2Http,
})) {
  describe(`a call that a person must approve, at ${serverName}`, () => {
    let peer: HttpPeerHandle;
    let gate: TestGate;

    before(async () => {
      peer = await start(createPeerState());
    });
    beforeEach(async () => {
      await gate?.close();
      gate = await startGate(
        { peer: { url: peer.url } },
        {
          verdict: ({ operation }) => (['tools/call', 'resources/read'].includes(operation) ? 'ask' : 'allow'),
        },
      );
    });
    after(async () => {
      await gate.close();
      await peer.close();
    });

    for (const [clientName, connect] of Object.entries({ 'SDK v1': connectV1, 'SDK v2': connectV2 })) {
      test(`${clientName}: the user is shown where to approve, and the call runs once when it is approved`, async () => {
        const before = calls(peer);
        const client = await connect({ url: gate.url('peer'), headers: as() });
        const result = client.call('echo', { text: 'grave' });
        const approval = await gate.approvals.opened();
        assert.equal(calls(peer), before);
        gate.approvals.decide(approval.id, 'approved');
        assert.equal((await result).content[0]?.text, 'grave');
        assert.equal(calls(peer), before + 1);
        const shown = client.asked.find(({ method }) => method === 'elicitation/create')?.params as JsonObject;
        assert.deepEqual([shown.mode, shown.url], ['url', `${gate.origin}/approvals/${approval.id}`]);
        const [waited, sent] = gate.enforcement.decided;
        assert.deepEqual([waited?.verdict, sent?.verdict], ['waits', 'sent']);
        assert.equal(waited?.actionId, sent?.actionId);
        await client.close();
      });

      test(`${clientName}: a call that is denied does not run, and says who said no`, async () => {
        const before = calls(peer);
        const client = await connect({ url: gate.url('peer'), headers: as() });
        const result = client.call('echo', { text: 'grave' });
        gate.approvals.decide((await gate.approvals.opened()).id, 'denied');
        const { isError, content } = await result;
        assert.equal(isError, true);
        assert.match(content[0]?.text ?? '', /approver@example\.test said no: not today/);
        assert.equal(calls(peer), before);
        await client.close();
      });
    }

    test('a 2025-11-25 client hears that the elicitation is complete', async () => {
      const headers = await openSession(gate.url('peer'), { capabilities: url });
      const answer = post(gate.url('peer'), { jsonrpc: '2.0', id: 1, method: 'tools/call', params: echo }, headers);
      const approval = await gate.approvals.opened();
      gate.approvals.decide(approval.id, 'approved');
      const { text } = await answer;
      assert.ok(
        text.includes(`"method":"notifications/elicitation/complete","params":{"elicitationId":"${approval.id}"}`),
      );
    });

    test('a user who does not open the address is not waited for', async () => {
      const headers = await openSession(gate.url('peer'), { capabilities: url });
      const response = await fetch(gate.url('peer'), {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: echo }),
      });
      await gate.approvals.opened();
      const declined = { jsonrpc: '2.0', id: 'gatehouse-1', result: { action: 'decline' } };
      assert.equal((await post(gate.url('peer'), declined, headers)).status, 202);
      assert.match(await response.text(), /Waiting for approval/);
    });

    test('a client that sees progress is held until the decision', async () => {
      const headers = await openSession(gate.url('peer'));
      const params = { ...echo, _meta: { progressToken: 'p' } };
      const answer = post(gate.url('peer'), { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
      gate.approvals.decide((await gate.approvals.opened()).id, 'approved');
      const { text, body } = await answer;
      assert.match(text, /"method":"notifications\/progress","params":\{"progressToken":"p"/);
      assert.match(textOf(body), /grave/);
    });

    test('a client that can do neither is told to come back, and the same call runs once after the approval', async () => {
      const before = calls(peer);
      const headers = await openSession(gate.url('peer'));
      const call = (params: JsonObject) =>
        post(gate.url('peer'), { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
      const { body } = await call(echo);
      const result = body.result as JsonObject;
      const [approval] = gate.approvals.all();
      assert.equal(result.isError, true);
      assert.deepEqual((result._meta as JsonObject)['gatehouse/approval'], {
        id: approval?.id,
        url: `${gate.origin}/approvals/${approval?.id}`,
        state: 'pending',
        retryAfterSeconds: 10,
      });
      assert.equal(calls(peer), before);
      gate.approvals.decide(String(approval?.id), 'approved');
      assert.match(textOf((await call({ name: 'echo', arguments: { text: 'other' } })).body), /Waiting for approval/);
      assert.match(textOf((await call(echo)).body), /grave/);
      assert.match(textOf((await call(echo)).body), /Waiting for approval/);
      assert.equal(calls(peer), before + 1);
    });

    test('a resource that must be approved is an error with the approval in it', async () => {
      const { body, status } = await postModern(gate.url('peer'), 'resources/read', { uri: 'peer://note' });
      const error = body.error as JsonObject;
      assert.deepEqual([status, error.code], [200, codes.waiting]);
      assert.equal((error.data as JsonObject).id, gate.approvals.all()[0]?.id);
    });

    test('a 2026-07-28 client that comes back too early is asked again', async () => {
      const first = await postModern(gate.url('peer'), 'tools/call', echo, { capabilities: url });
      assert.equal((first.body.result as JsonObject).resultType, 'input_required');
      const declined = { gatehouse_approval: { action: 'decline' } };
      const retry = { ...echo, inputResponses: declined, requestState: stateOf(first.body) };
      const second = await postModern(gate.url('peer'), 'tools/call', retry, { capabilities: url });
      assert.match(textOf(second.body), /Waiting for approval/);
    });

    /** @proves mcp.request-state */
    describe('its state', () => {
      const retryWith = async (change: (retry: JsonObject) => JsonObject, headers = as()) => {
        const before = calls(peer);
        const first = await postModern(gate.url('peer'), 'tools/call', echo, { capabilities: url });
        gate.approvals.decide((await gate.approvals.opened()).id, 'approved');
        const accepted = { gatehouse_approval: { action: 'accept' } };
        const retry = change({ ...echo, inputResponses: accepted, requestState: stateOf(first.body) });
        const { body } = await postModern(gate.url('peer'), 'tools/call', retry, { capabilities: url, headers });
        return { body, ran: calls(peer) - before, retry };
      };
      const refused = { code: codes.invalidParams };

      test('opens once', async () => {
        const { body, ran, retry } = await retryWith((same) => same);
        assert.match(textOf(body), /grave/);
        assert.equal(ran, 1);
        const again = await postModern(gate.url('peer'), 'tools/call', retry, { capabilities: url });
        assert.partialDeepStrictEqual(again.body.error, refused);
        assert.match(textOf(again.body), /used before/);
      });

      test('does not open when one character was changed', async () => {
        const { body, ran } = await retryWith((retry) => {
          const state = String(retry.requestState);
          const middle = Math.floor(state.length / 2);
          const other = state[middle] === 'A' ? 'B' : 'A';
          return { ...retry, requestState: `${state.slice(0, middle)}${other}${state.slice(middle + 1)}` };
        });
        assert.partialDeepStrictEqual(body.error, refused);
        assert.equal(ran, 0);
      });

      test('does not open for other arguments', async () => {
        const { body, ran } = await retryWith((retry) => ({ ...retry, arguments: { text: 'other' } }));
        assert.partialDeepStrictEqual(body.error, refused);
        assert.equal(ran, 0);
      });

      test('does not open for another task or another agent', async () => {
        for (const foreign of [as('agent', 'tsk_2'), as('other', 'tsk_1')]) {
          const { body, ran } = await retryWith((same) => same, foreign);
          assert.partialDeepStrictEqual(body.error, refused);
          assert.equal(ran, 0);
          await gate.close();
          gate = await startGate({ peer: { url: peer.url } }, { verdict: () => 'ask' });
        }
      });

      test('does not open at another address of the gate', async () => {
        const first = await postModern(gate.url('peer'), 'tools/call', echo, { capabilities: url });
        const retry = { ...echo, requestState: stateOf(first.body) };
        const { body } = await postModern(gate.url(), 'tools/call', retry, { capabilities: url });
        assert.partialDeepStrictEqual(body.error, refused);
      });
    });
  });
}

describe('a call that a person must approve and that asks its client something', () => {
  test('is approved once and dispatched once, however many rounds it takes', async () => {
    const roots = { method: 'roots/list' };
    const server = await startRawServer({
      era: '2026-07-28',
      answer: ({ params }): JsonObject =>
        isJsonObject(params) && isJsonObject(params.inputResponses)
          ? {
              result: {
                resultType: 'complete',
                content: [{ type: 'text', text: JSON.stringify(params.inputResponses) }],
              },
            }
          : {
              result: { resultType: 'input_required', inputRequests: { a: roots, b: roots }, requestState: 'its own' },
            },
    });
    const gate = await startGate(
      { raw: { url: server.url, tools: { tool: { tier: 3, effects: ['pay'] } } } },
      { verdict: ({ operation }) => (operation === 'tools/call' ? 'ask' : 'allow') },
    );
    const call = { name: 'tool', arguments: {} };
    const options = { capabilities: { ...url, roots: {} } };
    const waiting = await postModern(gate.url('raw'), 'tools/call', call, options);
    gate.approvals.decide((await gate.approvals.opened()).id, 'approved');
    const approved = {
      ...call,
      requestState: stateOf(waiting.body),
      inputResponses: { gatehouse_approval: { action: 'accept' } },
    };
    const asked = await postModern(gate.url('raw'), 'tools/call', approved, options);
    const keys = Object.keys((asked.body.result as JsonObject).inputRequests as JsonObject);
    assert.equal(keys.length, 2);
    const inputResponses = Object.fromEntries(
      keys.map((key, index) => [key, { roots: [{ uri: `file:///${index}` }] }]),
    );
    const done = await postModern(
      gate.url('raw'),
      'tools/call',
      { ...call, requestState: stateOf(asked.body), inputResponses },
      options,
    );
    assert.match(textOf(done.body), /file:\/\/\/0.*file:\/\/\/1/);
    assert.deepEqual(
      gate.enforcement.decided.filter(({ operation }) => operation === 'tools/call').map(({ verdict }) => verdict),
      ['waits', 'sent'],
    );
    assert.equal(gate.approvals.all().length, 1);
    await gate.close();
    await server.close();
  });
});
