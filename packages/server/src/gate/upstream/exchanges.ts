import { type Clock, isJsonObject, type Json, type JsonObject, type Log } from '../../platform/index.ts';
import type { Channel, Counters, Exchange, ExchangeHooks, OpenExchange, Origin } from './exchange.ts';
import { hideIn } from './hide.ts';
import type { UpstreamLimits } from './limits.ts';
import { type IncomingMessage, type MessageId, violation } from './messages.ts';
import { metaKeys } from './protocol.ts';
import { createServerRequests } from './server-requests.ts';
import {
  type Era,
  type ServerMessage,
  type ServerRequestHandler,
  type UpstreamAnswer,
  UpstreamFailure,
  type UpstreamRequest,
} from './types.ts';

export interface ExchangesOptions {
  limits: UpstreamLimits;
  counters: Counters;
  log: Log;
  clock: Clock;
  /** Several tasks use this connection: what cannot be told apart is given to nobody. */
  shared: boolean;
  /** Takes what was injected out of a text that the server says. */
  hide?: ((text: string) => string) | undefined;
  /** Answers what the server asks outside of any request. */
  onServerRequest: ServerRequestHandler | undefined;
}

export type Exchanges = ReturnType<typeof createExchanges>;

/**
 * The table of open requests of one connection, and the routing of all that a server says. Everything that a lying or
 * flooding server can do to us by messages alone is bounded here; bytes are bounded by the channels.
 */
export function createExchanges(options: ExchangesOptions) {
  const { limits, counters, log, clock, shared } = options;
  const open = new Map<number, OpenExchange>();
  /** Ids that we gave up on: a late answer to one of them is no lie. */
  const abandoned = new Set<number>();
  const listeners = new Set<(message: ServerMessage) => void>();
  const closed = new AbortController();
  const questions = createServerRequests({
    ...options,
    violate,
    armIdle,
    send: async (message) => channel?.send(message),
  });
  let channel: Channel | undefined;
  let era: Era = '2025-11-25';
  let nextId = 1;
  let strays = 0;
  let answers = 0;
  let unsolicited = { since: 0, count: 0 };

  return {
    closed: closed.signal,
    violate,
    end,
    announce: onUnsolicited,
    inFlight: () => open.size,
    answers: () => answers,
    era: () => era,
    useEra(value: Era) {
      era = value;
    },
    useChannel(value: Channel) {
      channel = value;
    },
    hasListeners: () => listeners.size > 0,
    listen(listener: (message: ServerMessage) => void): () => void {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },

    /** `params` are what the era makes of the request's own; a progress token in them is replaced. */
    request(request: UpstreamRequest, params: JsonObject, hooks: ExchangeHooks): Promise<UpstreamAnswer> {
      if (closed.signal.aborted) return Promise.reject(notSent(closed.signal.reason as UpstreamFailure));
      if (hooks.signal.aborted)
        return Promise.reject(new UpstreamFailure('aborted', abortDetail(hooks.signal), { mayHaveRun: false }));
      const id = nextId++;
      const meta = params._meta as JsonObject | undefined;
      const progressToken = meta?.progressToken;
      const sentParams = progressToken === undefined ? params : { ...params, _meta: { ...meta, progressToken: id } };
      const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
      const onAbort = () => {
        const detail = abortDetail(hooks.signal);
        giveUp(exchange, detail, new UpstreamFailure('aborted', detail, { mayHaveRun: exchange.sent }));
      };
      const exchange: OpenExchange = {
        id,
        request,
        hooks,
        wire: { jsonrpc: '2.0', id, method: request.method, params: sentParams },
        settled: false,
        sent: false,
        progressToken,
        answered: false,
        messages: 0,
        asked: 0,
        idle: undefined,
        delivery: undefined,
        promise,
        settle(outcome) {
          if (exchange.settled) return;
          exchange.settled = true;
          open.delete(id);
          clearTimeout(exchange.idle);
          hooks.signal.removeEventListener('abort', onAbort);
          questions.abandon(exchange);
          if ('answer' in outcome) resolve(outcome.answer);
          else reject(outcome.failure);
        },
      };
      hooks.signal.addEventListener('abort', onAbort, { once: true });
      open.set(id, exchange);
      armIdle(exchange);
      counters.requests++;
      channel?.open(exchange);
      return promise;
    },

    /** A promise asks the channel to read no further until it is done: that is how a slow reader slows the server. */
    receive(given: IncomingMessage, origin: Origin): Promise<void> | undefined {
      if (closed.signal.aborted) return undefined;
      const message = options.hide
        ? (hideIn(given as unknown as Json, options.hide) as unknown as IncomingMessage)
        : given;
      switch (message.kind) {
        case 'answer':
          return onAnswer(message.id, message.answer, origin);
        case 'orphan-error':
          log.warn('upstream.orphan-error', { code: message.error.code, text: message.error.message.slice(0, 500) });
          return stray();
        case 'request':
          return onRequest(message, origin);
        case 'notification':
          return onNotification(message, origin);
      }
    },

    /** The request ends without an answer. The connection lives on. */
    fail(exchange: Exchange, failure: UpstreamFailure): void {
      (exchange as OpenExchange).settle({ failure });
    },
  };

  /** The connection is over: everything open fails with what that means for it. */
  function end(failure: UpstreamFailure): void {
    if (closed.signal.aborted) return;
    if (failure.kind === 'violation') {
      counters.violations++;
      log.warn('upstream.violation', { detail: failure.message });
    }
    closed.abort(failure);
    const { kind, message, cause } = failure;
    for (const exchange of [...open.values()])
      exchange.settle({ failure: new UpstreamFailure(kind, message, { mayHaveRun: exchange.sent, cause }) });
    questions.end(failure);
    listeners.clear();
  }

  /** Ends the connection because of what the server did. */
  function violate(detail: string): undefined {
    end(violation(detail));
    void channel?.close(detail);
    return undefined;
  }

  function giveUp(exchange: OpenExchange, reason: string, failure: unknown): void {
    if (exchange.settled) return;
    abandoned.add(exchange.id);
    if (abandoned.size > limits.abandonedIds) abandoned.delete(abandoned.values().next().value as number);
    exchange.settle({ failure });
    channel?.cancel(exchange, reason);
  }

  /** Starts the idle time anew, unless the server waits for us. */
  function armIdle(exchange: OpenExchange): void {
    clearTimeout(exchange.idle);
    if (exchange.settled || exchange.asked > 0 || exchange.hooks.lasting === true) return;
    exchange.idle = setTimeout(() => {
      const detail = `No answer and no progress for ${limits.idleTimeoutMs} ms.`;
      giveUp(exchange, detail, new UpstreamFailure('timeout', detail, { mayHaveRun: exchange.sent }));
    }, limits.idleTimeoutMs);
  }

  function onAnswer(id: MessageId, answer: UpstreamAnswer, origin: Origin): Promise<void> | undefined {
    const mayAnswer = origin === 'one-channel' || (origin !== 'no-request' && origin.id === id);
    const exchange = mayAnswer && typeof id === 'number' ? open.get(id) : undefined;
    if (exchange === undefined || !exchange.sent || exchange.answered)
      return typeof id === 'number' && abandoned.delete(id) ? undefined : stray();
    exchange.answered = true;
    answers++;
    if (exchange.delivery === undefined) exchange.settle({ answer });
    else void exchange.delivery.then(() => exchange.settle({ answer }));
    return undefined;
  }

  function stray(): undefined {
    counters.strayAnswers++;
    strays++;
    if (strays > limits.strayAnswersPerConnection) violate('The server keeps answering requests that nobody made.');
    return undefined;
  }

  function onNotification(message: ServerMessage, origin: Origin): Promise<void> | undefined {
    if (message.method === 'notifications/cancelled') {
      const subscription = lastingExchange(message.params.requestId);
      if (subscription !== undefined)
        return void subscription.settle({ failure: new UpstreamFailure('lost', 'The server ended the subscription.') });
      if (questions.takeBack(message.params.requestId)) return undefined;
    }
    if (message.method === 'notifications/progress') return onProgress(message);
    if (typeof origin === 'object') return deliver(origin as OpenExchange, message);
    const meta = message.params._meta;
    const subscription = isJsonObject(meta) ? lastingExchange(meta[metaKeys.subscriptionId]) : undefined;
    if (subscription !== undefined) return deliver(subscription, message);
    if (origin === 'one-channel' && message.method === 'notifications/message') {
      const exchange = latest();
      if (exchange !== undefined) return deliver(exchange, message);
    }
    // Nobody can say whose it is, and it may hold what only that task may read.
    if (shared && message.method === 'notifications/message') return undefined;
    return onUnsolicited(message);
  }

  function lastingExchange(id: Json | undefined): OpenExchange | undefined {
    const exchange = typeof id === 'number' ? open.get(id) : undefined;
    return exchange?.hooks.lasting === true ? exchange : undefined;
  }

  function onProgress(message: ServerMessage): Promise<void> | undefined {
    const token = message.params.progressToken;
    const exchange = typeof token === 'number' ? open.get(token) : undefined;
    // Progress that comes after the answer, or was never asked for, concerns nobody.
    if (exchange?.progressToken === undefined) return undefined;
    const { progressToken } = exchange;
    return deliver(exchange, { method: message.method, params: { ...message.params, progressToken } });
  }

  function deliver(exchange: OpenExchange, message: ServerMessage): Promise<void> | undefined {
    if (exchange.settled || !count(exchange)) return undefined;
    armIdle(exchange);
    const take = exchange.hooks.onNotification;
    if (take === undefined) return undefined;
    const failed = (failure: unknown) => giveUp(exchange, 'The caller failed.', failure);
    let taken: ReturnType<typeof take>;
    if (exchange.delivery === undefined) {
      try {
        taken = take(message);
      } catch (failure) {
        return void failed(failure);
      }
      if (taken === undefined) return undefined;
    } else taken = exchange.delivery.then(() => (exchange.settled ? undefined : take(message)));
    const mine = taken.catch(failed).then(() => {
      if (exchange.delivery === mine) exchange.delivery = undefined;
    });
    exchange.delivery = mine;
    const settled = exchange.promise.then(noop, noop);
    return Promise.race([mine, settled]);
  }

  function count(exchange: OpenExchange): boolean {
    if (exchange.hooks.lasting === true || ++exchange.messages <= limits.messagesPerCall) return true;
    violate(`The server sent more than ${limits.messagesPerCall} messages for one request.`);
    return false;
  }

  function onUnsolicited(message: ServerMessage): undefined {
    const now = clock.now();
    if (now - unsolicited.since > limits.unsolicitedWindowMs) unsolicited = { since: now, count: 0 };
    if (++unsolicited.count > limits.messagesPerCall) return violate('The server floods us with notifications.');
    for (const listener of listeners) listener(message);
    return undefined;
  }

  function onRequest(message: ServerMessage & { id: MessageId }, origin: Origin): undefined {
    if (era === '2026-07-28') return violate('The server sent a request, which 2026-07-28 does not have.');
    const exchange = typeof origin === 'object' ? (origin as OpenExchange) : latest('onServerRequest');
    if (exchange === undefined || count(exchange)) questions.answer(message, exchange);
    return undefined;
  }

  /** Over one channel for all, a server's message names no request of ours: the newest is the likeliest. */
  function latest(hook: 'onNotification' | 'onServerRequest' = 'onNotification'): OpenExchange | undefined {
    if (shared && (hook === 'onServerRequest' || open.size !== 1)) return undefined;
    let found: OpenExchange | undefined;
    for (const exchange of open.values())
      if (exchange.hooks[hook] !== undefined && exchange.hooks.lasting !== true) found = exchange;
    return found;
  }
}

const noop = () => undefined;

const notSent = (failure: UpstreamFailure) =>
  new UpstreamFailure(failure.kind, failure.message, { mayHaveRun: false, cause: failure });

function abortDetail(signal: AbortSignal): string {
  const { reason } = signal;
  if (reason instanceof Error && reason.message !== '') return reason.message;
  return typeof reason === 'string' ? reason : 'The call was aborted.';
}
