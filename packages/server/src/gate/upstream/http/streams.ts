import type { Exchange, Origin } from '../exchange.ts';
import type { Exchanges } from '../exchanges.ts';
import type { UpstreamLimits } from '../limits.ts';
import { UpstreamFailure } from '../types.ts';
import type { HttpCall, HttpEnd, HttpHandlers } from './call.ts';

export interface StreamsOptions {
  exchanges: Exchanges;
  limits: UpstreamLimits;
  call(lastEventId: string | undefined, handlers: HttpHandlers): HttpCall;
  receive(bytes: Uint8Array, origin: Origin): Promise<void> | undefined;
  /** The server does not know the session any more. */
  sessionGone(): void;
}

/**
 * Streams that are fetched by GET (2025-11-25): the one of no request, and those of requests whose POST stream ended early, be it
 * broken or closed on purpose to be polled (SEP-1699). Both go on after the last event that arrived.
 */
export function createStreams(options: StreamsOptions) {
  const { exchanges, limits } = options;
  let standing: HttpCall | undefined;
  let ready = Promise.resolve();
  let closed = false;

  return {
    /** Resolves when the stream is open, or there is none to be had. */
    listen(): Promise<void> {
      if (standing !== undefined || closed) return ready;
      const opened = Promise.withResolvers<void>();
      ready = opened.promise;
      standing = follow('no-request', undefined, undefined, {
        onOpen: opened.resolve,
        onLost(_detail, status) {
          opened.resolve();
          // 405: the server has no such stream. Otherwise whoever watches next opens it again.
          if (status !== 405) standing = undefined;
          if (status === 404) options.sessionGone();
        },
      });
      return ready;
    },

    resume(exchange: Exchange, lastEventId: string, retryMs: number | undefined): HttpCall {
      return follow(exchange, lastEventId, retryMs, {
        onLost: (detail) => exchanges.fail(exchange, new UpstreamFailure('lost', detail)),
      });
    },

    /** The session is another: `listen` may begin again. */
    reset(): void {
      standing?.abort();
      standing = undefined;
    },

    close(): void {
      closed = true;
      standing?.abort();
    },
  };

  function wait(retryMs: number | undefined): number {
    return Math.min(Math.max(retryMs ?? limits.retryDefaultMs, limits.retryMinMs), limits.retryMaxMs);
  }

  /** Reads a stream to its end, over as many connections as it takes. */
  function follow(
    origin: Exchange | 'no-request',
    from: string | undefined,
    retry: number | undefined,
    on: { onOpen?(): void; onLost(detail: string, status?: number): void },
  ): HttpCall {
    let lastEventId = from;
    let retryMs = retry;
    let failures = 0;
    let current: HttpCall | undefined;
    let timer: NodeJS.Timeout | undefined;
    let over = false;

    const next = () => {
      current = options.call(lastEventId, {
        onEvents() {
          failures = 0;
          on.onOpen?.();
        },
        onRetry(value) {
          retryMs = value;
        },
        onEvent({ id, data }) {
          if (over) return undefined;
          if (id !== undefined) lastEventId = id;
          return data === '' ? undefined : options.receive(Buffer.from(data), origin);
        },
        onEnd,
      });
    };

    const onEnd = (end: HttpEnd) => {
      if (over || exchanges.closed.aborted || (typeof origin === 'object' && origin.settled)) return;
      if (end.kind === 'violation') return exchanges.violate(end.failure.message);
      if (end.kind === 'whole' && end.status < 500)
        return on.onLost(`The server does not resume its stream (HTTP ${end.status}).`, end.status);
      if (end.kind !== 'events-ended' && ++failures > limits.resumeAttempts)
        return on.onLost('The stream broke and stays broken.');
      timer = setTimeout(next, wait(retryMs) * 2 ** Math.max(0, failures - 1));
    };

    if (from === undefined) next();
    else timer = setTimeout(next, wait(retryMs));

    return {
      abort() {
        over = true;
        clearTimeout(timer);
        current?.abort();
      },
    };
  }
}
