import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import type { Approval, SequencedRecord } from '@gatehouse/protocol';
import type { Approvals } from '../approvals/index.ts';
import { createLog } from '../platform/index.ts';
import { streamEvents } from './events.ts';

/** A stream that is fed by the test; `signedIn` decides what the next heartbeat finds. */
async function openStream() {
  const listeners = new Set<(record: SequencedRecord) => void>();
  const state = {
    signedIn: true,
    began: 0,
    readApproval: async (_id: string): Promise<Approval | undefined> => undefined,
  };
  const server = createServer((request, response) => {
    state.began++;
    if (request.url === '/late') response.destroy();
    streamEvents(
      {
        log: createLog('error'),
        approvals: { get: (id: string) => state.readApproval(id) } as unknown as Approvals,
        ledger: {
          follow(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
          },
        },
      },
      response,
      async () => state.signedIn,
      5,
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const read = (path = '/') => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
    return socket;
  };
  const record = { record: { approval: null, detail: 'x'.repeat(10_000) } } as unknown as SequencedRecord;
  const emit = (times: number) => {
    for (let n = 0; n < times; n++) for (const listener of [...listeners]) listener(record);
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { server, listeners, state, read, emit, until };
}

test('a reader that does not read is cut off, and nothing of it stays', async () => {
  const { server, listeners, read, emit, until } = await openStream();
  const socket = read();
  socket.pause();
  await until(() => listeners.size === 1);
  await until(() => {
    emit(100);
    return listeners.size === 0;
  });
  socket.destroy();
  server.close();
});

test('a stream ends with its session, also when its reader does not read; what happens afterwards harms nobody', async () => {
  const { server, listeners, state, read, emit, until } = await openStream();
  const socket = read();
  socket.pause();
  await until(() => listeners.size === 1);
  emit(50);
  const [listener] = listeners;
  state.signedIn = false;
  await until(() => listeners.size === 0);
  listener?.({ record: { approval: null } } as unknown as SequencedRecord);
  socket.destroy();
  server.close();
});

test('who has left before the stream could begin is not followed', async () => {
  const { server, listeners, state, read, until } = await openStream();
  const socket = read('/late').on('error', () => undefined);
  await until(() => state.began === 1);
  assert.equal(listeners.size, 0);
  socket.destroy();
  server.close();
});

test('states of an approval are sent in the order in which they were, however late one is read', async () => {
  const { server, listeners, state, read, until } = await openStream();
  const socket = read();
  let sent = '';
  socket.on('data', (data) => {
    sent += data;
  });
  await until(() => listeners.size === 1);
  const first = Promise.withResolvers<Approval>();
  const as = (now: string) => ({ id: 'apr_1', state: now }) as Approval;
  const [listener] = listeners;
  const record = { record: { approval: 'apr_1' } } as unknown as SequencedRecord;
  state.readApproval = () => first.promise;
  listener?.(record);
  await new Promise(setImmediate);
  state.readApproval = async () => as('approved');
  listener?.(record);
  await new Promise(setImmediate);
  first.resolve(as('pending'));
  await until(() => sent.includes('"pending"') && sent.includes('"approved"'));
  assert.ok(sent.indexOf('"pending"') < sent.indexOf('"approved"'));
  socket.destroy();
  await until(() => listeners.size === 0);
  server.close();
});

test('of an approval that changes while one is read the newest state is read once, and none for who has left', async () => {
  const { server, listeners, state, read, until } = await openStream();
  const socket = read();
  let sent = '';
  socket.on('data', (data) => {
    sent += data;
  });
  await until(() => listeners.size === 1);
  const asked: string[] = [];
  let answer = Promise.withResolvers<Approval | undefined>();
  state.readApproval = (id) => {
    asked.push(id);
    return answer.promise;
  };
  const [listener] = listeners;
  const change = (approval: string) => listener?.({ record: { approval } } as unknown as SequencedRecord);
  change('apr_1');
  for (let n = 0; n < 1_000; n++) change(n % 2 === 0 ? 'apr_2' : 'apr_3');
  const first = answer;
  answer = Promise.withResolvers();
  answer.resolve({ id: 'apr' } as Approval);
  first.resolve({ id: 'apr_1' } as Approval);
  await until(() => sent.split('event: approval').length > 3);
  assert.deepEqual(asked, ['apr_1', 'apr_2', 'apr_3']);

  answer = Promise.withResolvers();
  change('apr_4');
  change('apr_5');
  socket.destroy();
  await until(() => listeners.size === 0);
  answer.resolve(undefined);
  await new Promise(setImmediate);
  change('apr_6');
  await new Promise(setImmediate);
  assert.deepEqual(asked.slice(3), ['apr_4']);
  server.close();
});

test('a stream for which approvals can not be read is cut off before what waits has no end', async () => {
  const { server, listeners, state, read, until } = await openStream();
  const socket = read();
  socket.resume();
  await until(() => listeners.size === 1);
  state.readApproval = () => new Promise(() => undefined);
  const [listener] = listeners;
  for (let n = 0; n < 10_002; n++) listener?.({ record: { approval: `apr_${n}` } } as unknown as SequencedRecord);
  await until(() => listeners.size === 0);
  socket.destroy();
  server.close();
});
