import type { ServerResponse } from 'node:http';
import { openEventStream } from '../http-edge.ts';
import { doorLimits } from '../limits.ts';

/**
 * One SSE stream of a session, which outlives its connection (2025-11-25, Resumability and Redelivery): events carry ids, a bounded
 * number of them is kept, and a client that comes back with `Last-Event-ID` gets what it missed, from this stream only.
 */
export interface Stream {
  readonly id: string;
  /** Without a message an event only carries its id, so that the client can come back before anything was sent. */
  send(message: string): void;
  /** Nothing more will come; the connection closes behind what was sent. */
  finish(): void;
  /** False when what came after the event is no longer kept. */
  attach(response: ServerResponse, after: number | null, headers?: Record<string, string>): boolean;
  /** Closes the connection, not the stream: the client is told to come back. */
  rest(): void;
  /** Closes everything at once. */
  destroy(): void;
  readonly finished: boolean;
  /** What is kept for a client that comes back. */
  readonly bytes: number;
  readonly connected: boolean;
}

interface Kept {
  sequence: number;
  text: string;
}

export interface StreamOptions {
  id: string;
  /** Ids, priming and replay: from 2025-11-25 on. Older clients read an event without data as broken JSON. */
  primes: boolean;
  /** A connection that was quiet for so long is closed, and the client told to come back; 0 keeps it. Only where it is primed. */
  restAfterMs: number;
  onFinish?(): void;
}

export function createStream({ id, primes, restAfterMs, onFinish }: StreamOptions): Stream {
  const kept: Kept[] = [];
  let keptBytes = 0;
  let sequence = 0;
  let dropped = 0;
  let delivered = 0;
  let finished = false;
  let response: ServerResponse | null = null;
  let keepAlive: NodeJS.Timeout | undefined;
  let quiet: NodeJS.Timeout | undefined;

  function write(text: string): void {
    if (!response || response.destroyed) return;
    response.write(text);
    quiet?.refresh();
    if (response.writableLength > doorLimits.unsentBytes) response.destroy();
  }

  function writeEvent({ sequence: number, text }: Kept): void {
    if (!response || response.destroyed) return;
    delivered = Math.max(delivered, number);
    write(`id: ${id}-${number}\nevent: message\ndata: ${text}\n\n`);
  }

  function keep(event: Kept): void {
    kept.push(event);
    keptBytes += event.text.length;
    while (kept.length > 1 && (kept.length > doorLimits.replayEvents || keptBytes > doorLimits.replayBytes)) {
      const oldest = kept.shift() as Kept;
      keptBytes -= oldest.text.length;
      dropped = oldest.sequence;
    }
  }

  function detach(): void {
    clearInterval(keepAlive);
    clearTimeout(quiet);
    quiet = undefined;
    response = null;
  }

  const stream: Stream = {
    id,
    get finished() {
      return finished;
    },
    get bytes() {
      return keptBytes;
    },
    get connected() {
      return response !== null;
    },
    send(message) {
      if (finished) return;
      const event = { sequence: ++sequence, text: message };
      keep(event);
      writeEvent(event);
    },
    finish() {
      if (!finished) onFinish?.();
      finished = true;
      const open = response;
      detach();
      open?.end();
    },
    attach(to, after, headers) {
      if (after !== null && (after < dropped || after > sequence)) return false;
      if (response) {
        const old = response;
        detach();
        old.end();
      }
      openEventStream(to, headers);
      response = to;
      to.once('close', () => {
        if (response === to) detach();
      });
      keepAlive = setInterval(() => to.destroyed || to.write(': keep-alive\n\n'), doorLimits.keepAliveMs);
      keepAlive.unref();
      if (primes && restAfterMs > 0) quiet = setTimeout(stream.rest, restAfterMs).unref();
      const from = after ?? delivered;
      if (primes && after === null) write(`id: ${id}-${from}\nretry: ${doorLimits.reconnectAfterMs}\ndata: \n\n`);
      for (const event of kept) if (event.sequence > from) writeEvent(event);
      if (finished) stream.finish();
      return true;
    },
    rest() {
      const open = response;
      detach();
      open?.end(`retry: ${doorLimits.reconnectAfterMs}\n\n`);
    },
    destroy() {
      finished = true;
      const open = response;
      detach();
      open?.destroy();
    },
  };
  return stream;
}
