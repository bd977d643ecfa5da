import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type JsonObject, type Log } from '../../../platform/index.ts';
import type { Channel, Exchange, Origin } from '../exchange.ts';
import type { Exchanges } from '../exchanges.ts';
import type { UpstreamLimits } from '../limits.ts';
import { readMessages } from '../messages.ts';
import { standardHeaders } from '../parameter-headers.ts';
import { metaKeys } from '../protocol.ts';
import { UpstreamFailure, type UpstreamRequest } from '../types.ts';
import { contentType, type HttpCall, type HttpCaller, type HttpEnd, type HttpRequest } from './call.ts';
import { createStreams } from './streams.ts';
import { txnTokenHeader } from './txn-token.ts';

export interface HttpChannel extends Channel {
  /** 2025-11-25: the version that every request names from now on. */
  useVersion(version: string): void;
  /** 2025-11-25: opens the stream of what belongs to no request, if it is not open and the server has one. */
  listen(): Promise<void>;
}

export interface HttpChannelOptions {
  callHttp: HttpCaller;
  url: URL;
  /** The server wants transaction tokens. */
  txnToken: boolean;
  exchanges: Exchanges;
  limits: UpstreamLimits;
  log: Log;
  /** The server forgot the session: shakes hands again. Requests that met the old one are then sent anew. */
  renew(): Promise<void>;
}

/**
 * Streamable HTTP toward a server, both eras: a message that claims 2026-07-28 in its `_meta` gets that era's headers and knows
 * no session and no resumption; any other belongs to the session of 2025-11-25.
 */
export function createHttpChannel(options: HttpChannelOptions): HttpChannel {
  const { callHttp, exchanges, limits, log } = options;
  const path = `${options.url.pathname}${options.url.search}`;
  const sizes = { wholeBytes: limits.messageBytes, eventBytes: limits.messageBytes, errorBytes: limits.errorBodyBytes };
  const calls = new Map<Exchange, HttpCall>();
  let version: string | undefined;
  let session: string | undefined;
  let renewing: Promise<void> | undefined;
  let closing = false;

  const streams = createStreams({
    ...options,
    call: (lastEventId, handlers) => {
      const headers: Record<string, string> = { ...sessionHeaders(), accept: 'text/event-stream' };
      if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
      return callHttp({ path, method: 'GET', headers }, sizes, handlers);
    },
    receive,
    sessionGone() {
      if (session === undefined || closing) return;
      renew(session).catch((failure: unknown) => log.warn('upstream.session-lost', { failure }));
    },
  });

  return {
    useVersion(value) {
      version = value;
    },
    listen: () => streams.listen(),
    open: (exchange) => post(exchange, true),

    cancel(exchange, reason) {
      const legacy = modernVersionOf(exchange.wire) === undefined && exchange.sent;
      forget(exchange);
      if (!legacy || closing || exchange.request.method === 'initialize') return;
      const params = { requestId: exchange.id, reason };
      send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch((failure: unknown) =>
        log.debug('upstream.cancel-undelivered', { failure }),
      );
    },

    send,

    async close(reason) {
      if (closing) return;
      closing = true;
      exchanges.end(new UpstreamFailure('lost', reason));
      for (const exchange of [...calls.keys()]) forget(exchange);
      streams.close();
      if (session !== undefined) await endSession();
    },
  };

  function sessionHeaders(): Record<string, string> {
    const headers: Record<string, string> = {};
    if (version !== undefined) headers['mcp-protocol-version'] = version;
    if (session !== undefined) headers['mcp-session-id'] = session;
    return headers;
  }

  function postRequest(message: JsonObject, request?: UpstreamRequest): HttpRequest {
    const modern = modernVersionOf(message);
    const own: Record<string, string> =
      modern === undefined
        ? sessionHeaders()
        : {
            'mcp-protocol-version': modern,
            ...standardHeaders(String(message.method), message.params as JsonObject),
            ...parameterOnly(request?.headers),
          };
    // By the origin that this channel sends to, whatever the manifest says by now.
    const token = options.txnToken ? request?.txnToken?.(options.url.origin) : undefined;
    if (token !== undefined) own[txnTokenHeader] = token;
    if (request?.traceparent !== undefined) own.traceparent = request.traceparent;
    const headers = { ...own, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    return { path, method: 'POST', headers, body: JSON.stringify(message) };
  }

  function post(exchange: Exchange, mayRenew: boolean): void {
    const usedSession = session;
    const resumable = modernVersionOf(exchange.wire) === undefined;
    let lastEventId: string | undefined;
    let retryMs: number | undefined;
    let linger: NodeJS.Timeout | undefined;
    const call = callHttp(postRequest(exchange.wire, exchange.request), sizes, {
      onSent() {
        exchange.sent = true;
      },
      onEvents: (headers) => adoptSession(exchange, headers),
      onRetry(value) {
        retryMs = value;
      },
      onEvent({ id, data }) {
        if (id !== undefined) lastEventId = id;
        if (data === '') return undefined;
        const wait = receive(Buffer.from(data), exchange);
        // The answer ends the stream; a server that leaves it open does not keep our socket.
        if (exchange.answered) linger ??= setTimeout(() => call.abort(), limits.exitGraceMs);
        return wait;
      },
      onEnd(end) {
        clearTimeout(linger);
        calls.delete(exchange);
        if (exchange.settled || exchange.answered) return;
        if (end.kind === 'events-ended' && resumable && lastEventId !== undefined) {
          calls.set(exchange, streams.resume(exchange, lastEventId, retryMs));
          return;
        }
        if (end.kind === 'whole' && end.status === 404 && usedSession !== undefined && resumable && mayRenew) {
          // Not executed: the server does not know the session.
          exchange.sent = false;
          renew(usedSession).then(
            () => exchange.settled || post(exchange, false),
            (cause: unknown) =>
              exchanges.fail(exchange, unreachable('The session ended and no other could begin.', cause)),
          );
          return;
        }
        finish(exchange, end);
      },
    });
    calls.set(exchange, call);
  }

  /** The response to a POST is over and is not to be continued. */
  function finish(exchange: Exchange, end: HttpEnd): void {
    if (end.kind === 'violation') exchanges.violate(end.failure.message);
    else if (end.kind === 'events-ended') exchanges.fail(exchange, lost(end.error));
    else if (end.kind === 'failed') exchanges.fail(exchange, broken(end));
    else {
      const isJson = contentType(end.headers) === 'application/json';
      if (end.status === 200 && isJson) {
        adoptSession(exchange, end.headers);
        void receive(end.body, exchange);
      } else if (end.status >= 400 && isJson) receiveError(exchange, end.body);
      if (!exchange.answered) exchanges.fail(exchange, refusal(end));
    }
  }

  /** An HTTP error may carry the JSON-RPC error that answers this request; anything else says no more than its status. */
  function receiveError(exchange: Exchange, body: Buffer): void {
    let parsed: unknown;
    try {
      parsed = JSON.parse(body.toString());
    } catch (cause) {
      log.debug('upstream.error-without-json', { cause });
    }
    if (isJsonObject(parsed) && parsed.id === exchange.id) void receive(body, exchange);
  }

  function receive(bytes: Uint8Array, origin: Origin): Promise<void> | undefined {
    try {
      const waits = readMessages(bytes, version === '2025-03-26').map((message) => exchanges.receive(message, origin));
      const pending = waits.filter((wait) => wait !== undefined);
      return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
    } catch (failure) {
      return exchanges.violate((failure as UpstreamFailure).message);
    }
  }

  function adoptSession(exchange: Exchange, headers: IncomingHttpHeaders): void {
    if (exchange.request.method !== 'initialize') return;
    const id = headers['mcp-session-id'];
    if (id !== undefined && !(typeof id === 'string' && /^[\x21-\x7e]{1,1000}$/.test(id)))
      exchanges.violate('The server gave a session id that is not visible ASCII.');
    else session = id;
  }

  function renew(gone: string): Promise<void> {
    if (session !== gone) return renewing ?? Promise.resolve();
    session = undefined;
    version = undefined;
    streams.reset();
    renewing = options.renew().finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  function send(message: JsonObject): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const call = callHttp(
      postRequest(message),
      { ...sizes, wholeBytes: limits.errorBodyBytes },
      {
        // Taken; what else the server has to say to it, nobody asked.
        onEvents() {
          resolve();
          call.abort();
        },
        onEnd(end) {
          clearTimeout(timer);
          if (end.kind === 'whole' && end.status < 300) resolve();
          else if (end.kind === 'whole') reject(refusal(end));
          else if (end.kind === 'failed') reject(broken(end));
          else reject(lost(undefined));
        },
      },
    );
    const timer = setTimeout(() => {
      reject(new UpstreamFailure('timeout', 'The server did not take a notification in time.'));
      call.abort();
    }, limits.connectTimeoutMs);
    return promise;
  }

  function forget(exchange: Exchange): void {
    calls.get(exchange)?.abort();
    calls.delete(exchange);
  }

  /** A server that does not care to hear it (405) or does not answer is left alone: the session is its own affair then. */
  function endSession(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const call = callHttp({ path, method: 'DELETE', headers: sessionHeaders() }, sizes, {
      onEnd: () => resolve(),
    });
    const timer = setTimeout(() => {
      call.abort();
      resolve();
    }, limits.exitGraceMs);
    return promise.finally(() => clearTimeout(timer));
  }
}

function modernVersionOf(message: JsonObject): string | undefined {
  const meta = isJsonObject(message.params) ? message.params._meta : undefined;
  const version = isJsonObject(meta) ? meta[metaKeys.protocolVersion] : undefined;
  return typeof version === 'string' ? version : undefined;
}

function parameterOnly(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => /^mcp-param-/i.test(name)));
}

const unreachable = (detail: string, cause: unknown) => new UpstreamFailure('unreachable', detail, { cause });

const broken = ({ error, sent }: { error: Error; sent: boolean }) =>
  sent ? lost(error) : unreachable(error.message, error);

const lost = (cause: Error | undefined) =>
  new UpstreamFailure('lost', 'The connection ended before the answer.', { cause });

/** A status below 500 says that the server did not take the request; 408 and above 499 do not say that. */
function refusal({ status }: { status: number }): UpstreamFailure {
  if (status < 300) return new UpstreamFailure('refused', 'The server answered, but not this request.', { status });
  const detail =
    status < 400
      ? `The server redirects (HTTP ${status}); redirects are not followed, give the final address.`
      : `The server answered HTTP ${status}.`;
  return new UpstreamFailure('refused', detail, { status, mayHaveRun: status >= 500 || status === 408 });
}
