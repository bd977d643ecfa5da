import type { Readable } from 'node:stream';

/**
 * Cuts a byte stream at newlines. Holds one unfinished line up to `maxBytes`, and stops the stream while a handler is not done,
 * so that memory stays bounded whatever comes in.
 */
export function createLineReader(
  stream: Readable,
  maxBytes: number,
  handlers: { onLine(line: Buffer): Promise<void> | undefined; onTooLong(): void },
): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let size = 0;
  let lines: Buffer[] = [];
  let waiting = false;
  let over = false;

  const drain = () => {
    for (let at = 0; at < lines.length; at++) {
      if (over) return;
      const wait = handlers.onLine(lines[at] as Buffer);
      if (wait === undefined) continue;
      lines = lines.slice(at + 1);
      waiting = true;
      stream.pause();
      void wait.then(() => {
        waiting = false;
        drain();
        if (!waiting) stream.resume();
      });
      return;
    }
    lines = [];
  };

  return (chunk) => {
    if (over) return;
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      const piece = chunk.subarray(from, at);
      from = at + 1;
      const line = parts.length === 0 ? piece : Buffer.concat([...parts, piece]);
      parts = [];
      size = 0;
      if (line.length > maxBytes) return tooLong();
      // Blank lines are no messages; some servers print them.
      if (line.length > 1 || (line.length === 1 && line[0] !== 13)) lines.push(line);
    }
    const tail = chunk.subarray(from);
    if (tail.length > 0) {
      parts.push(tail);
      size += tail.length;
      if (size > maxBytes) return tooLong();
    }
    if (!waiting) drain();
  };

  function tooLong(): void {
    over = true;
    parts = [];
    lines = [];
    handlers.onTooLong();
  }
}
