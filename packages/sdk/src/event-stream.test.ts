import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readEventStream, type ServerSentEvent } from './event-stream.ts';

const text =
  'id: 1\nretry: 50\ndata: \n\n: note\r\nevent: message\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\ndata: last\r\rdata: cut off';

it('reads the same events however the bytes are cut', async () => {
  const bytes = new TextEncoder().encode(text);
  const read = async (size: number) => {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    const events: ServerSentEvent[] = [];
    for await (const event of readEventStream(body)) events.push(event);
    return events;
  };
  const whole = await read(bytes.length);
  assert.deepEqual(
    whole.map(({ data, id, retryMs }) => [data, id, retryMs]),
    [
      ['', '1', 50],
      ['{"a":\n"ü"}', '1', 50],
      ['last', '1', 50],
    ],
    'an event that is not finished is none',
  );
  for (let size = 1; size < 20; size++) assert.deepEqual(await read(size), whole, `in pieces of ${size}`);
});
