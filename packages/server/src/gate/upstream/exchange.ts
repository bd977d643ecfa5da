import type { JsonObject } from '../../platform/index.ts';
import type { UpstreamAnswer, UpstreamHooks, UpstreamRequest } from './types.ts';

/** One request of ours, from its sending to its answer. */
export interface Exchange {
  readonly id: number;
  readonly request: UpstreamRequest;
  /** The JSON-RPC message as it goes out. */
  readonly wire: JsonObject;
  /** Nothing comes of it any more: answered, failed or aborted. */
  readonly settled: boolean;
  /** The answer is here, though the caller may still be taking in what came before it. */
  readonly answered: boolean;
  /** True from when the first byte may have left. Set by the channel. */
  sent: boolean;
}

/**
 * Where a message came from: the stream of one request (HTTP), a stream of no request (HTTP GET), or the one channel that
 * carries everything (stdio).
 */
export type Origin = Exchange | 'no-request' | 'one-channel';

export interface ExchangeHooks extends UpstreamHooks {
  /** A handshake or a subscription: only its signal ends it, and its notifications are counted as unsolicited ones are. */
  lasting?: boolean;
}

/** How messages travel; knows nothing of what they mean. */
export interface Channel {
  /** Sends the request; everything that comes back goes to `receive`, or the exchange is failed. Does not throw. */
  open(exchange: Exchange): void;
  /** Tells the server that nobody waits any more, and forgets the exchange. */
  cancel(exchange: Exchange, reason: string): void;
  /** A notification of ours, or our answer to the server's request. Throws UpstreamFailure. */
  send(message: JsonObject): Promise<void>;
  close(reason: string): Promise<void>;
}

export interface Counters {
  requests: number;
  strayAnswers: number;
  violations: number;
}

/** An exchange with what only this table needs of it. */
export interface OpenExchange extends Exchange {
  settled: boolean;
  readonly hooks: ExchangeHooks;
  readonly progressToken: JsonObject[string] | undefined;
  answered: boolean;
  messages: number;
  /** Questions of the server that are being answered; the idle time rests meanwhile. */
  asked: number;
  idle: NodeJS.Timeout | undefined;
  /** Notifications that the caller is still taking in. */
  delivery: Promise<void> | undefined;
  readonly promise: Promise<UpstreamAnswer>;
  settle(outcome: { answer: UpstreamAnswer } | { failure: unknown }): void;
}
