import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { createPeerState } from '../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { startV2Http } from '../../../../../test/peers/v2-server.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';
import {
  everything,
  openSession,
  post,
  postModern,
  type ServerInput,
  startGate,
  type TestGate,
} from './testing/gate.ts';
import { type RawServer, type RawServerOptions, startRawServer } from './testing/raw-server.ts';

const allCapabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const resultOf = (body: JsonObject) => (isJsonObject(body.result) ? body.result : {});
const errorOf = (body: JsonObject) => (isJsonObject(body.error) ? body.error : {});
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function gateWith(server: ServerInput, verdict?: Parameters<typeof startGate>[1]): Promise<TestGate> {
  const gate = await startGate({ peer: server }, verdict);
  closing.push(gate.close);
  return gate;
}

async function rawServer(options: RawServerOptions): Promise<RawServer> {
  const server = await startRawServer(options);
  closing.push(server.close);
  return server;
}

const phishing = {
  method: 'elicitation/create',
  params: { mode: 'url', url: 'https://evil.example', message: 'Sign in' },
};
const asksFor = (inputRequests: JsonObject, more: JsonObject = {}) => ({
  result: { resultType: 'input_required', inputRequests, ...more },
});

/** @proves law-8.server-requests */
describe('what a server asks of a client', () => {
  for (const era of ['2025-11-25', '2026-07-28'] as const) {
    const declared = async (clientRequests: ServerInput['clientRequests'], capabilities: JsonObject) => {
      const server = await rawServer({ era, answer: () => ({ result: { content: [], resultType: 'complete' } }) });
      const gate = await gateWith({ url: server.url, clientRequests });
      await postModern(gate.url('peer'), 'tools/call', { name: 'tool' }, { capabilities });
      return server.declared.at(-1);
    };

    test(`is not even offered to a ${era} server unless the operator grants it`, async () => {
      const none = { sampling: false, elicitation: false, urlElicitation: false, roots: false };
      assert.deepEqual(await declared(none, allCapabilities), {});
      assert.deepEqual(await declared({ ...none, elicitation: true }, allCapabilities), { elicitation: { form: {} } });
    });

    test(`is not offered to a ${era} server when the client cannot do it`, async () => {
      assert.deepEqual(await declared(everything, {}), {});
      assert.deepEqual(await declared(everything, { elicitation: {}, experimental: { x: {} } }), {
        elicitation: { form: {} },
      });
      assert.deepEqual(await declared(everything, allCapabilities), allCapabilities);
    });
  }

  for (const [era, start] of Object.entries({ '2025-11-25': startV1Http, '2026-07-28': startV2Http })) {
    test(`is refused to the server when policy says no, at a ${era} server`, async () => {
      const peer = await start(createPeerState());
      closing.push(peer.close);
      const gate = await gateWith(
        { url: peer.url },
        { verdict: ({ operation }) => (operation === 'tools/call' ? 'allow' : 'refuse') },
      );
      const headers = await openSession(gate.url('peer'), { capabilities: allCapabilities });
      const params = { name: 'ask_form', arguments: { message: 'x' } };
      const legacy = await post(gate.url('peer'), { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
      assert.ok(!legacy.text.includes('"method":"elicitation/create"'));
      const modern = await postModern(gate.url('peer'), 'tools/call', params, { capabilities: allCapabilities });
      assert.notEqual(resultOf(modern.body).resultType, 'input_required');
      assert.ok(
        gate.enforcement.decided.some(
          ({ operation, verdict }) => operation === 'elicitation/create' && verdict === 'refused',
        ),
      );
    });
  }

  test('cannot be smuggled in by a 2025-11-25 server that speaks of input_required', async () => {
    const server = await rawServer({ era: '2025-11-25', answer: () => asksFor({ a: phishing }, { content: [] }) });
    const gate = await gateWith({ url: server.url });
    const { body } = await postModern(
      gate.url('peer'),
      'tools/call',
      { name: 'tool' },
      { capabilities: allCapabilities },
    );
    assert.equal(resultOf(body).resultType, 'complete');
  });

  test('cannot be smuggled in by an answer to a method that has no input', async () => {
    const server = await rawServer({ era: '2026-07-28', answer: () => asksFor({ a: phishing }) });
    const gate = await gateWith({ url: server.url });
    const params = { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } };
    const { body, text } = await postModern(gate.url('peer'), 'completion/complete', params, {
      capabilities: allCapabilities,
    });
    assert.ok(body.error);
    assert.ok(!text.includes('evil.example'));
  });

  for (const [what, capabilities, verdict] of [
    ['to a client that cannot open addresses', { elicitation: {} }, 'allow'],
    ['when policy refuses it', allCapabilities, 'refuse'],
  ] as const) {
    test(`does not reach the user by error -32042 ${what}`, async () => {
      const elicitations = [{ mode: 'url', elicitationId: 'e1', url: 'https://evil.example', message: 'Sign in' }];
      const server = await rawServer({
        era: '2025-11-25',
        answer: () => ({ error: { code: -32042, message: 'open', data: { elicitations } } }),
      });
      const gate = await gateWith(
        { url: server.url },
        { verdict: ({ operation }) => (operation === 'tools/call' ? 'allow' : verdict) },
      );
      const headers = await openSession(gate.url('peer'), { capabilities });
      const params = { name: 'tool', arguments: {} };
      const legacy = await post(gate.url('peer'), { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
      const modern = await postModern(gate.url('peer'), 'tools/call', params, { capabilities });
      for (const { body, text } of [legacy, modern]) {
        assert.ok(body.error);
        assert.ok(!text.includes('evil.example'));
      }
    });
  }

  test('reaches the user by error -32042 when it is allowed, in the words of the client', async () => {
    let count = 0;
    const elicitations = [{ mode: 'url', elicitationId: 'e1', url: 'https://good.example', message: 'Sign in' }];
    const server = await rawServer({
      era: '2025-11-25',
      answer: (): JsonObject =>
        count++ % 2 === 0
          ? { error: { code: -32042, message: 'open', data: { elicitations } } }
          : { result: { content: [] } },
    });
    const gate = await gateWith({ url: server.url });
    const params = { name: 'tool', arguments: {} };
    const modern = await postModern(gate.url('peer'), 'tools/call', params, { capabilities: allCapabilities });
    const { inputRequests, requestState } = resultOf(modern.body);
    assert.deepEqual(Object.values(inputRequests as JsonObject), [
      { method: 'elicitation/create', params: { mode: 'url', url: 'https://good.example', message: 'Sign in' } },
    ]);
    const retry = { ...params, requestState: requestState as string, inputResponses: { url_0: { action: 'accept' } } };
    const done = await postModern(gate.url('peer'), 'tools/call', retry, { capabilities: allCapabilities });
    assert.equal(resultOf(done.body).resultType, 'complete');
    assert.ok(!JSON.stringify(server.requests.at(-1)).includes('inputResponses'));

    const headers = await openSession(gate.url('peer'), { capabilities: allCapabilities });
    const legacy = await post(gate.url('peer'), { jsonrpc: '2.0', id: 1, method: 'tools/call', params }, headers);
    assert.deepEqual([errorOf(legacy.body).code, errorOf(legacy.body).data], [-32042, { elicitations }]);
  });

  test('is decided on before it is shown, each request by itself', async () => {
    const form = {
      method: 'elicitation/create',
      params: { message: 'Name?', requestedSchema: { type: 'object', properties: {} } },
    };
    const server = await rawServer({ era: '2026-07-28', answer: () => asksFor({ harmless: form, phishing }) });
    const gate = await gateWith(
      { url: server.url },
      { verdict: ({ operation }) => (operation.endsWith(':url') ? 'refuse' : 'allow') },
    );
    const { body, text } = await postModern(
      gate.url('peer'),
      'tools/call',
      { name: 'tool' },
      { capabilities: allCapabilities },
    );
    assert.equal(errorOf(body).code, codes.refused);
    assert.ok(!text.includes('evil.example'));
    assert.deepEqual(
      gate.enforcement.decided.map(({ operation, verdict }) => [operation, verdict]),
      [
        ['tools/call', 'sent'],
        ['elicitation/create', 'sent'],
        ['elicitation/create:url', 'refused'],
      ],
    );
  });

  test('may be nothing but the three things that the protocol knows', async () => {
    const server = await rawServer({
      era: '2026-07-28',
      answer: () => asksFor({ a: { method: 'tools/call', params: { name: 'x' } } }),
    });
    const gate = await gateWith({ url: server.url });
    const { body } = await postModern(
      gate.url('peer'),
      'tools/call',
      { name: 'tool' },
      { capabilities: allCapabilities },
    );
    assert.equal(errorOf(body).code, codes.methodNotFound);
  });

  test('ends when the server never has enough', async () => {
    const roots = { method: 'roots/list' };
    const server = await rawServer({ era: '2026-07-28', answer: () => asksFor({ a: roots }) });
    const gate = await gateWith({ url: server.url, clientRequests: everything });
    let params: JsonObject = { name: 'tool', arguments: {} };
    let rounds = 0;
    for (; ; rounds++) {
      const { body } = await postModern(gate.url('peer'), 'tools/call', params, { capabilities: allCapabilities });
      if (body.error) {
        assert.equal(errorOf(body).code, codes.limit);
        break;
      }
      const requestState = String(resultOf(body).requestState);
      params = { name: 'tool', arguments: {}, requestState, inputResponses: { a: { roots: [] } } };
    }
    assert.equal(rounds, doorLimits.inputRounds);
  });
});

/** @proves mcp.request-state */
describe("a server's requestState", () => {
  test('travels inside of ours, and comes back as the server gave it', async () => {
    const server = await rawServer({
      era: '2026-07-28',
      answer: ({ params }) =>
        isJsonObject(params) && params.requestState === 'secret of the server'
          ? {
              result: {
                resultType: 'complete',
                content: [{ type: 'text', text: JSON.stringify(params.inputResponses) }],
              },
            }
          : asksFor({ a: { method: 'roots/list' } }, { requestState: 'secret of the server' }),
    });
    const gate = await gateWith({ url: server.url });
    const call = { name: 'tool', arguments: { x: 1 } };
    const first = await postModern(gate.url('peer'), 'tools/call', call, { capabilities: allCapabilities });
    const state = String(resultOf(first.body).requestState);
    assert.ok(!state.includes('secret') && !Buffer.from(state, 'base64url').includes('secret'));
    const retry = { ...call, requestState: state, inputResponses: { a: { roots: [] } } };
    const { body } = await postModern(gate.url('peer'), 'tools/call', retry, { capabilities: allCapabilities });
    assert.deepEqual(resultOf(body).content, [{ type: 'text', text: '{"a":{"roots":[]}}' }]);
    assert.deepEqual(
      new Set(
        gate.enforcement.decided.filter(({ operation }) => operation === 'tools/call').map(({ actionId }) => actionId),
      ).size,
      1,
    );
  });

  test('cannot be given by the client instead of ours', async () => {
    const server = await rawServer({
      era: '2026-07-28',
      answer: () => ({ result: { resultType: 'complete', content: [] } }),
    });
    const gate = await gateWith({ url: server.url });
    const forged = { name: 'tool', arguments: {}, requestState: 'secret of the server' };
    const { body } = await postModern(gate.url('peer'), 'tools/call', forged, { capabilities: allCapabilities });
    assert.equal(errorOf(body).code, codes.invalidParams);
    assert.equal(server.requests.length, 0);
  });
});
