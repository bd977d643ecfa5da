import type { Readable } from 'node:stream';

/** As many bytes as the gate takes in one message, and a few for what JSON allows around it. */
const MAX_LINE_BYTES = 4 * 1024 * 1024 + 1024;

/** Lines of standard input; null for one that is too long, which is dropped and not gathered. */
export async function* readLines(input: Readable, maxBytes = MAX_LINE_BYTES): AsyncGenerator<string | null> {
  let parts: Buffer[] = [];
  let size = 0;
  let isTooLong = false;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at));
      const isFine = !isTooLong && size + at - from <= maxBytes;
      yield isFine ? Buffer.concat(parts).toString('utf8') : null;
      parts = [];
      size = 0;
      isTooLong = false;
      from = at + 1;
    }
    const rest = chunk.subarray(from);
    size += rest.length;
    if (size > maxBytes) {
      isTooLong = true;
      parts = [];
    } else if (rest.length > 0) parts.push(rest);
  }
  if (size > 0 && !isTooLong) yield Buffer.concat(parts).toString('utf8');
}
