import type { Json, JsonObject } from '../../platform/index.ts';
import type { OpenExchange } from './exchange.ts';
import type { ExchangesOptions } from './exchanges.ts';
import { type MessageId, rpcErrors } from './messages.ts';
import { JsonRpcFailure, type ServerMessage, UpstreamFailure } from './types.ts';

interface Question {
  exchange: OpenExchange | undefined;
  controller: AbortController;
}

/**
 * What a server of 2025-11-25 asks of its client. Who answers, and whether that is allowed, is for the handlers to say;
 * here each question gets exactly one answer, or none if the server took it back.
 */
export function createServerRequests(
  options: Pick<ExchangesOptions, 'limits' | 'log' | 'onServerRequest' | 'shared'> & {
    violate(detail: string): undefined;
    armIdle(exchange: OpenExchange): void;
    send(message: JsonObject): Promise<void>;
  },
) {
  const { limits, log, violate } = options;
  /** By the JSON text of the id: 1 and "1" are two. */
  const open = new Map<string, Question>();

  return {
    answer(message: ServerMessage & { id: MessageId }, exchange: OpenExchange | undefined): void {
      const key = JSON.stringify(message.id);
      const question = { exchange, controller: new AbortController() };
      if (open.has(key)) violate('The server used one request id twice.');
      else if (open.size >= limits.serverRequests) violate('The server floods us with requests.');
      else {
        open.set(key, question);
        void settle(message, key, question);
      }
    },

    takeBack(id: Json | undefined): boolean {
      const key = JSON.stringify(id ?? null);
      open.get(key)?.controller.abort(new UpstreamFailure('aborted', 'The server took its request back.'));
      return open.delete(key);
    },

    /** The request in whose course these were asked is over: their handlers end, and the server is told so. */
    abandon(exchange: OpenExchange): void {
      for (const question of open.values())
        if (question.exchange === exchange)
          question.controller.abort(new UpstreamFailure('aborted', 'The surrounding request ended.'));
    },

    end(failure: UpstreamFailure): void {
      for (const { controller } of open.values()) controller.abort(failure);
      open.clear();
    },
  };

  async function settle(message: ServerMessage & { id: MessageId }, key: string, question: Question): Promise<void> {
    const { exchange, controller } = question;
    if (exchange !== undefined) {
      exchange.asked++;
      options.armIdle(exchange);
    }
    let reply: JsonObject;
    try {
      reply = { result: await ask(message, question) };
    } catch (failure) {
      if (!(failure instanceof JsonRpcFailure) && !controller.signal.aborted)
        log.error('upstream.server-request-failed', { method: message.method, failure });
      reply = { error: errorOf(failure) };
    }
    if (exchange !== undefined) {
      exchange.asked--;
      options.armIdle(exchange);
    }
    if (open.get(key) !== question) return;
    open.delete(key);
    try {
      await options.send({ jsonrpc: '2.0', id: message.id, ...reply });
    } catch (failure) {
      log.warn('upstream.answer-undelivered', { method: message.method, failure });
    }
  }

  /** Waits for the handler no longer than the question stands. */
  async function ask({ method, params }: ServerMessage, { exchange, controller }: Question): Promise<JsonObject> {
    if (method === 'ping') return {};
    const handler = exchange?.hooks.onServerRequest ?? (options.shared ? undefined : options.onServerRequest);
    if (handler === undefined)
      throw new JsonRpcFailure({ code: rpcErrors.methodNotFound, message: `${method} is not available here.` });
    const { signal } = controller;
    const { promise: over, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([handler({ method, params }, signal), over]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

function errorOf(failure: unknown): JsonObject {
  if (failure instanceof JsonRpcFailure) return { ...failure.error };
  return { code: rpcErrors.internal, message: 'The client could not answer.' };
}
