import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { doorLimits } from '../limits.ts';
import { createStream, type Stream } from './stream.ts';

const options = { id: 's', primes: true, restAfterMs: 0 };

/** All that a client reads which comes back to the stream after this event; undefined when it is refused. */
async function readFrom(stream: Stream, after: number | null): Promise<string | undefined> {
  const server = createServer((_, response) => {
    if (!stream.attach(response, after)) response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const text = response.ok ? await response.text() : undefined;
  server.close();
  server.closeAllConnections();
  return text;
}
const messages = (text: string | undefined) => [...(text ?? '').matchAll(/^data: (.+)$/gm)].map(([, data]) => data);

describe('a stream that a client may come back to', () => {
  test('gives what came after the event that the client names, once and in order', async () => {
    const stream = createStream(options);
    for (const message of ['1', '2', '3']) stream.send(message);
    stream.finish();
    assert.deepEqual(messages(await readFrom(stream, 1)), ['2', '3']);
    assert.deepEqual(messages(await readFrom(stream, 3)), []);
    assert.equal(await readFrom(stream, 4), undefined);
  });

  test('does not repeat to a client that names no event what was sent before', async () => {
    const stream = createStream(options);
    stream.send('1');
    const first = readFrom(stream, null);
    while (!stream.connected) await new Promise((resolve) => setTimeout(resolve, 5));
    stream.rest();
    assert.deepEqual(messages(await first), ['1']);
    stream.send('2');
    stream.finish();
    assert.deepEqual(messages(await readFrom(stream, null)), ['2']);
  });

  test('keeps a bounded number of bytes, the newest message always, and never gives a part as the whole', async () => {
    const stream = createStream(options);
    const large = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 40; count++) stream.send(large);
    assert.ok(stream.bytes <= doorLimits.replayBytes);
    const huge = 'y'.repeat(doorLimits.replayBytes + 1);
    stream.send(huge);
    stream.finish();
    assert.equal(stream.bytes, huge.length);
    assert.deepEqual(messages(await readFrom(stream, 40)), [huge]);
    assert.equal(await readFrom(stream, 3), undefined);
  });

  test('keeps a bounded number of events', () => {
    const stream = createStream(options);
    for (let count = 0; count < doorLimits.replayEvents * 2; count++) stream.send('x');
    assert.equal(stream.bytes, doorLimits.replayEvents);
  });

  test('primes only clients that know events without data', async () => {
    for (const [primes, expected] of [
      [true, /^id: s-0\nretry: \d+\ndata: \n$/m],
      [false, /^$/],
    ] as const) {
      const stream = createStream({ ...options, primes });
      stream.finish();
      assert.match((await readFrom(stream, null)) ?? '', expected);
    }
  });
});
