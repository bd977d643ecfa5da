import type { JsonObject } from '../../../platform/index.ts';
import { JsonRpcFailure, type ServerMessage, type UpstreamAnswer } from '../../upstream/types.ts';
import { codes } from '../rpc.ts';
import type { Exchange } from './exchange.ts';

/**
 * One call of a client that can't be asked while it waits. What a 2025-11-25 server asks in the middle of the call ends the HTTP
 * request instead, with `input_required`; the call itself stays open until the client brings the answers.
 */
export interface Conversation {
  readonly controller: AbortController;
  /** Where notifications go now; null between two requests. */
  sink: Exchange | null;
  /** The call has its answer. */
  readonly ended: boolean;
  ask(message: ServerMessage, signal: AbortSignal): Promise<UpstreamAnswer>;
  /** Requests that wait for the client, by key. */
  open(): JsonObject;
  /** Gives the answers to who waits for them; keys that nobody asked for are ignored. */
  deliver(inputResponses: JsonObject): void;
  /** The call's answer, or null as soon as the client is needed. */
  next(): Promise<UpstreamAnswer | null>;
  /** Nobody will answer any more. */
  abort(reason: Error): void;
}

interface Waiting {
  message: ServerMessage;
  settle(answer: UpstreamAnswer): void;
}

/** Bounded by the caller: one for each call in flight. */
export function createConversation(run: (conversation: Conversation) => Promise<UpstreamAnswer>): Conversation {
  const controller = new AbortController();
  const waiting = new Map<string, Waiting>();
  let count = 0;
  let wake: (() => void) | null = null;
  let ended = false;

  const conversation: Conversation = {
    controller,
    sink: null,
    get ended() {
      return ended;
    },
    ask(message, signal) {
      return new Promise((settle, reject) => {
        const key = `ask_${++count}`;
        const giveUp = AbortSignal.any([signal, controller.signal]);
        const onAbort = () => {
          waiting.delete(key);
          reject(new JsonRpcFailure({ code: codes.internal, message: 'The client did not answer.' }));
        };
        if (giveUp.aborted) return onAbort();
        giveUp.addEventListener('abort', onAbort, { once: true });
        waiting.set(key, {
          message,
          settle(answer) {
            giveUp.removeEventListener('abort', onAbort);
            waiting.delete(key);
            settle(answer);
          },
        });
        // What a server asks in one go goes to the client in one round.
        setImmediate(() => wake?.());
      });
    },
    open() {
      return Object.fromEntries(
        [...waiting].map(([key, { message }]) => [key, { method: message.method, params: forModernClient(message) }]),
      );
    },
    deliver(inputResponses) {
      for (const [key, { settle }] of [...waiting]) {
        const answer = inputResponses[key];
        if (answer !== undefined) settle({ result: answer as JsonObject });
      }
    },
    async next() {
      if (waiting.size > 0) return null;
      const needed = new Promise<null>((resolve) => {
        wake = () => {
          if (waiting.size > 0) resolve(null);
        };
      });
      return Promise.race([outcome, needed]);
    },
    abort: (reason) => controller.abort(reason),
  };

  const outcome = run(conversation).finally(() => {
    ended = true;
  });
  // Nobody may be there to hear of it: a call that was parked and given up.
  outcome.catch(() => undefined);
  return conversation;
}

/** `elicitationId` is of 2025-11-25 only. */
function forModernClient({ method, params }: ServerMessage): JsonObject {
  if (method !== 'elicitation/create' || params.mode !== 'url') return params;
  const { elicitationId, ...rest } = params;
  return rest;
}
