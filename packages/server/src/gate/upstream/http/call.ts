import type { IncomingHttpHeaders } from 'node:http';
import { createParser, type EventSourceParser } from 'eventsource-parser';
import type { Dispatcher } from 'undici';
import { violation } from '../messages.ts';
import type { UpstreamFailure } from '../types.ts';

export interface HttpRequest {
  path: string;
  method: 'POST' | 'GET' | 'DELETE';
  headers: Record<string, string>;
  body?: string;
}

export interface HttpEvent {
  id: string | undefined;
  /** Empty for a priming event. */
  data: string;
}

/** How a call ended. `sent`: the request may have left this machine. */
export type HttpEnd =
  | { kind: 'whole'; status: number; headers: IncomingHttpHeaders; body: Buffer }
  | { kind: 'events-ended'; error: Error | undefined }
  | { kind: 'failed'; error: Error; sent: boolean }
  | { kind: 'violation'; failure: UpstreamFailure };

export interface HttpHandlers {
  onSent?(): void;
  /** A 200 with `text/event-stream` begins. */
  onEvents?(headers: IncomingHttpHeaders): void;
  /** A promise pauses the reading until it is done. */
  onEvent?(event: HttpEvent): Promise<void> | undefined;
  onRetry?(retryMs: number): void;
  /** Exactly once, also after `abort`. */
  onEnd(end: HttpEnd): void;
}

export interface HttpCall {
  abort(): void;
}

export interface HttpSizes {
  wholeBytes: number;
  eventBytes: number;
  errorBytes: number;
}

/** `callHttp` toward one server. */
export type HttpCaller = (request: HttpRequest, sizes: HttpSizes, handlers: HttpHandlers) => HttpCall;

/**
 * One HTTP exchange on undici's dispatch, the fastest path it has. Never follows a redirect. A whole body is held up to
 * `wholeBytes`, an event up to `eventBytes`, an error's body up to `errorBytes`; more is a violation, cut off while it comes in.
 */
export function callHttp(
  dispatcher: Dispatcher,
  request: HttpRequest,
  sizes: HttpSizes,
  handlers: HttpHandlers,
): HttpCall {
  let controller: Dispatcher.DispatchController | undefined;
  let aborted = false;
  let sent = false;
  let ended = false;
  let status = 0;
  let headers: IncomingHttpHeaders = {};
  let events: ReturnType<typeof readEvents> | undefined;
  let chunks: Buffer[] = [];
  let size = 0;
  let maxBytes = 0;

  const end = (how: HttpEnd) => {
    if (ended) return;
    ended = true;
    chunks = [];
    handlers.onEnd(how);
  };
  const cutOff = (failure: UpstreamFailure) => {
    end({ kind: 'violation', failure });
    controller?.abort(failure);
  };

  dispatcher.dispatch(
    { ...request, body: request.body ?? null, headersTimeout: 0, bodyTimeout: 0 },
    {
      onRequestStart(started) {
        controller = started;
        if (aborted) return started.abort(new Error('The call was aborted.'));
        sent = true;
        handlers.onSent?.();
      },
      onResponseStart(_controller, statusCode, responseHeaders) {
        if (statusCode < 200) return;
        status = statusCode;
        headers = responseHeaders;
        if (status === 200 && contentType(headers) === 'text/event-stream') {
          events = readEvents(sizes.eventBytes, handlers);
          handlers.onEvents?.(headers);
          return;
        }
        maxBytes = status < 300 ? sizes.wholeBytes : sizes.errorBytes;
        if (Number(headers['content-length']) > maxBytes && status < 300) cutOff(tooLarge(maxBytes));
      },
      onResponseData(responding, chunk) {
        if (ended) return;
        if (events !== undefined) {
          try {
            const pause = events.feed(chunk);
            if (pause === undefined) return;
            responding.pause();
            void pause.then(() => responding.resume());
          } catch (failure) {
            cutOff(failure as UpstreamFailure);
          }
          return;
        }
        size += chunk.length;
        if (size <= maxBytes) chunks.push(chunk);
        else if (status < 300) cutOff(tooLarge(maxBytes));
        else {
          end({ kind: 'whole', status, headers, body: Buffer.alloc(0) });
          responding.abort(new Error('The error text is longer than anyone reads.'));
        }
      },
      onResponseEnd() {
        if (events !== undefined) end({ kind: 'events-ended', error: undefined });
        else
          end({
            kind: 'whole',
            status,
            headers,
            body: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks),
          });
      },
      onResponseError(_controller, error) {
        if (events !== undefined) end({ kind: 'events-ended', error });
        else end({ kind: 'failed', error, sent });
      },
    },
  );

  return {
    abort() {
      aborted = true;
      controller?.abort(new Error('The call was aborted.'));
    },
  };
}

export function contentType(headers: IncomingHttpHeaders): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

const tooLarge = (bytes: number) => violation(`The server sent more than ${bytes} bytes in one message.`);

/** Bytes to events, strictly UTF-8. `feed` throws `violation`. */
function readEvents(maxBytes: number, handlers: HttpHandlers) {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let pauses: Promise<void>[] = [];
  let overflow = false;
  const parser: EventSourceParser = createParser({
    maxBufferSize: maxBytes,
    onEvent({ id, event, data }) {
      if (event !== undefined && event !== 'message') return;
      const pause = handlers.onEvent?.({ id, data });
      if (pause !== undefined) pauses.push(pause);
    },
    onRetry: (retryMs) => handlers.onRetry?.(retryMs),
    onError(error) {
      if (error.type === 'max-buffer-size-exceeded') overflow = true;
    },
  });
  return {
    feed(chunk: Buffer): Promise<void> | undefined {
      let text: string;
      try {
        text = decoder.decode(chunk, { stream: true });
      } catch (cause) {
        throw violation('The server sent an event stream that is not UTF-8.', cause);
      }
      parser.feed(text);
      if (overflow) throw tooLarge(maxBytes);
      if (pauses.length === 0) return undefined;
      const all = Promise.all(pauses).then(() => undefined);
      pauses = [];
      return all;
    },
  };
}
