import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { createPeerState, type HttpPeerHandle } from '../../../../../test/peers/peer.ts';
import { startV1Http } from '../../../../../test/peers/v1-server.ts';
import { isJsonObject, type JsonObject, limits } from '../../platform/index.ts';
import { doorLimits } from './limits.ts';
import { codes } from './rpc.ts';
import { as, openSession, post, startGate, type TestGate } from './testing/gate.ts';

const request = (method: string, params: JsonObject = {}, id: number | string = 1) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});
const call = (name: string, args: JsonObject = {}, id = 1) => request('tools/call', { name, arguments: args }, id);
const codeOf = (body: JsonObject) => (isJsonObject(body.error) ? body.error.code : undefined);

describe('a 2025-11-25 session', () => {
  let peer: HttpPeerHandle;
  let gate: TestGate;
  let now = Date.now();
  const url = () => gate.url('peer');
  const send = (method: string, headers: Record<string, string>) =>
    fetch(url(), { method, headers: { accept: 'text/event-stream', ...headers } });

  before(async () => {
    peer = await startV1Http(createPeerState());
    gate = await startGate({ peer: { url: peer.url } }, { clock: { now: () => now } });
  });
  after(async () => {
    await gate.close();
    await peer.close();
  });

  for (const version of ['2025-11-25', '2025-06-18', '2025-03-26']) {
    test(`speaks ${version} with a client that asks for it`, async () => {
      const headers = await openSession(url(), { version });
      assert.deepEqual((await post(url(), request('ping'), headers)).body.result, {});
    });
  }

  test('offers its newest version to a client that asks for an unknown one', async () => {
    const params = { protocolVersion: '1999-01-01', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    const { body } = await post(url(), request('initialize', params));
    assert.equal((body.result as JsonObject).protocolVersion, '2025-11-25');
  });

  /** @proves mcp.session-binding */
  test('exists only for the task and agent that opened it, and only at its address', async () => {
    const headers = await openSession(url());
    for (const foreign of [as('agent', 'tsk_2'), as('other', 'tsk_1')])
      assert.equal((await post(url(), request('ping'), { ...headers, ...foreign })).status, 404);
    assert.equal((await post(gate.url(), request('ping'), headers)).status, 404);
    assert.equal((await post(url(), request('ping'), headers)).status, 200);
  });

  test('is needed for everything but initialize', async () => {
    const missing = await post(url(), request('tools/list'));
    assert.deepEqual([missing.status, codeOf(missing.body)], [400, codes.invalidRequest]);
    assert.equal((await post(url(), request('ping'), { 'mcp-session-id': 'made-up' })).status, 404);
    assert.equal((await send('GET', as())).status, 400);
    assert.equal((await send('DELETE', as())).status, 400);
  });

  test('ends with DELETE, and its connections to servers with it', async () => {
    const headers = await openSession(url());
    await post(url(), call('echo', { text: 'x' }), headers);
    const connections = gate.upstreams.stats().connections;
    assert.equal((await send('DELETE', headers)).status, 204);
    assert.equal((await post(url(), request('ping'), headers)).status, 404);
    assert.equal((await send('DELETE', headers)).status, 404);
    assert.equal(gate.upstreams.stats().connections, connections - 1);
  });

  test('ends when it was idle for too long', async () => {
    const headers = await openSession(url());
    now += doorLimits.sessionIdleMs + 1;
    gate.door.expire();
    assert.equal((await post(url(), request('ping'), headers)).status, 404);
  });

  test('gives way to a newer one when its task has too many', async () => {
    const first = await openSession(url(), { task: 'tsk_many' });
    const others: Record<string, string>[] = [];
    for (let count = 1; count < limits.sessionsPerTask; count++) {
      now += 1;
      others.push(await openSession(url(), { task: 'tsk_many' }));
    }
    assert.equal((await post(url(), request('ping'), first)).status, 200);
    now += 1;
    await openSession(url(), { task: 'tsk_many' });
    assert.equal((await post(url(), request('ping'), others[0])).status, 404);
    assert.equal((await post(url(), request('ping'), first)).status, 200);
  });

  test('refuses protocol versions that it does not speak', async () => {
    const headers = await openSession(url());
    assert.equal((await post(url(), request('ping'), { ...headers, 'mcp-protocol-version': '1.0' })).status, 400);
  });

  test('takes notifications and answers with 202 and no body', async () => {
    const headers = await openSession(url());
    const { status, text } = await post(url(), { jsonrpc: '2.0', method: 'notifications/initialized' }, headers);
    assert.deepEqual([status, text], [202, '']);
    assert.equal((await post(url(), { jsonrpc: '2.0', method: 'notifications/made-up' }, headers)).status, 202);
    assert.equal((await post(url(), { jsonrpc: '2.0', id: 'nobody-asked', result: {} }, headers)).status, 202);
  });

  test('knows no method that nobody decided on', async () => {
    const headers = await openSession(url());
    for (const method of [
      'server/discover',
      'subscriptions/listen',
      'tasks/update',
      'x/y',
      'constructor',
      '__proto__',
    ]) {
      assert.equal(codeOf((await post(url(), request(method), headers)).body), codes.methodNotFound);
    }
    assert.equal(peer.state.log.all().filter(({ tool }) => tool === 'x/y').length, 0);
  });

  test('takes log levels that exist', async () => {
    const headers = await openSession(url());
    assert.deepEqual((await post(url(), request('logging/setLevel', { level: 'error' }), headers)).body.result, {});
    assert.equal(
      codeOf((await post(url(), request('logging/setLevel', { level: 'loud' }), headers)).body),
      codes.invalidParams,
    );
    const { text } = await post(url(), call('log', { message: 'quiet' }), headers);
    assert.ok(!text.includes('notifications/message'));
  });

  test('takes batches in 2025-03-26 only', async () => {
    const batch = [
      request('ping', {}, 1),
      request('ping', {}, 2),
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ];
    const old = await openSession(url(), { version: '2025-03-26' });
    const { status, body } = await post(url(), batch, old);
    assert.equal(status, 200);
    assert.deepEqual((body as unknown as JsonObject[]).map(({ id }) => id).sort(), [1, 2]);
    assert.equal((await post(url(), [{ jsonrpc: '2.0', method: 'notifications/initialized' }], old)).status, 202);
    const tooMany = Array.from({ length: doorLimits.batchMessages + 1 }, (_, id) => request('ping', {}, id));
    assert.equal((await post(url(), tooMany, old)).status, 400);
    assert.equal((await post(url(), [], old)).status, 400);
    assert.equal((await post(url(), batch, await openSession(url()))).status, 400);
  });

  test('refuses an id that is still in use', async () => {
    const headers = await openSession(url());
    const waiting = post(url(), call('wait_until_cancelled', { label: 'one' }, 7), headers);
    await peer.state.log.until('waiting', 'wait_until_cancelled');
    assert.equal(codeOf((await post(url(), call('echo', { text: 'x' }, 7), headers)).body), codes.invalidRequest);
    await post(url(), { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } }, headers);
    await waiting;
  });

  test('goes on with a call whose client lost its connection, and gives the answer to the client that comes back', async () => {
    const headers = await openSession(url());
    const first = await openStream(url(), headers, call('slow', { ms: 200 }, 3));
    const id = await firstEventId(first);
    first.destroy();
    const resumed = await fetch(url(), {
      headers: { accept: 'text/event-stream', ...headers, 'last-event-id': id },
    });
    const text = await resumed.text();
    assert.match(text, /"id":3,"result"/);
    assert.equal(text.match(/"id":3/g)?.length, 1);
    const again = await fetch(url(), { headers: { accept: 'text/event-stream', ...headers, 'last-event-id': id } });
    assert.match(await again.text(), /"id":3,"result"/);
  });

  test('lets a client come back for the answer where connections may not be held long', async () => {
    const restless = await startGate({ peer: { url: peer.url } }, { streamRestMs: 20 });
    const headers = await openSession(restless.url('peer'));
    const { text } = await post(restless.url('peer'), call('slow', { ms: 200 }, 5), headers);
    const id = /^id: (\S+)$/m.exec(text)?.[1] ?? '';
    assert.ok(!text.includes('"id":5') && text.includes('retry: '));
    let resumed = '';
    while (!resumed.includes('"id":5,"result"')) {
      const stream = await fetch(restless.url('peer'), {
        headers: { accept: 'text/event-stream', ...headers, 'last-event-id': id },
      });
      resumed = await stream.text();
    }
    await restless.close();
  });

  test("gives nobody another stream's or session's messages", async () => {
    const headers = await openSession(url());
    const first = await openStream(url(), headers, call('slow', { ms: 100 }, 3));
    const id = await firstEventId(first);
    first.destroy();
    const other = await openSession(url(), { task: 'tsk_9' });
    const resume = (last: string, of = headers) =>
      fetch(url(), { headers: { accept: 'text/event-stream', ...of, 'last-event-id': last } });
    assert.equal((await resume(id, other)).status, 404);
    for (const forged of ['999-0', `${id.split('-')[0]}-999`, 'x', '../g-0'])
      assert.equal((await resume(forged)).status, 404);
  });

  test('sends what belongs to no call on the GET stream, and on the newest one only', async () => {
    const headers = await openSession(url());
    await post(url(), call('echo', { text: 'connects' }), headers);
    const old = await fetch(url(), { headers: { accept: 'text/event-stream', ...headers } });
    const stream = await fetch(url(), { headers: { accept: 'text/event-stream', ...headers } });
    const ended = old.text();
    await post(url(), request('resources/subscribe', { uri: 'peer://note' }), headers);
    await post(url(), call('set_note', { text: 'third' }), headers);
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes('notifications/resources/updated'))
      text += Buffer.from((await reader.read()).value ?? []).toString();
    assert.ok(!(await ended).includes('notifications/resources/updated'));
    await reader.cancel();
  });

  test('refuses what a client cannot read', async () => {
    const headers = await openSession(url());
    assert.equal((await post(url(), request('ping'), { ...headers, accept: 'application/json' })).status, 406);
    assert.equal((await fetch(url(), { headers: { ...headers, accept: 'application/json' } })).status, 406);
  });

  test('tells of a resource only while it is watched', async () => {
    const headers = await openSession(url(), { task: 'tsk_unwatch' });
    const stream = await fetch(url(), { headers: { accept: 'text/event-stream', ...headers } });
    const watch = (method: string) => post(url(), request(method, { uri: 'peer://note' }), headers);
    const change = (text: string) => post(url(), call('set_note', { text }), headers);
    await watch('resources/subscribe');
    await watch('resources/unsubscribe');
    await change('unwatched');
    await watch('resources/subscribe');
    await change('watched');
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes('resources/updated')) text += Buffer.from((await reader.read()).value ?? []).toString();
    assert.equal(text.match(/resources\/updated/g)?.length, 1);
    assert.deepEqual(
      gate.enforcement.decided
        .map(({ operation }) => operation)
        .filter((operation) => operation.includes('subscribe'))
        .slice(-3),
      ['resources/subscribe', 'resources/unsubscribe', 'resources/subscribe'],
    );
    await reader.cancel();
  });
});

/** A POST whose answer is a stream, read as it comes. */
async function openStream(url: string, headers: Record<string, string>, body: unknown): Promise<IncomingMessage> {
  const sent = httpRequest(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
  });
  sent.end(JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

async function firstEventId(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    const found = /^id: (\S+)$/m.exec(text);
    if (found) return found[1] as string;
  }
  throw new Error(`No event id in ${text}`);
}
