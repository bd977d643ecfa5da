import type { IncomingHttpHeaders } from 'node:http';

export interface Wanted {
  provider: string;
  /** A part of what the task may have; all of it where it says nothing. */
  scope?: Record<string, unknown>;
  seconds?: number;
}

/** What the server said to it. */
export type Given =
  | { kind: 'given'; lease: string; provider: string; parts: Record<string, string>; expiresAt: number }
  | { kind: 'waiting'; detail: string }
  | { kind: 'refused'; status: number; code: string; detail: string };

/** Credentials of one running task, for the clients of this machine. */
export interface Broker {
  /** Waits so long at most where a person has to approve it. */
  ask(wanted: Wanted, waitMs: number): Promise<Given>;
  /** Those that were given and may still be used. */
  held(): Extract<Given, { kind: 'given' }>[];
  /** Ends it at the server. */
  end(lease: string): Promise<void>;
  /** Of the task that they are for. */
  task(): Promise<string>;
}

export interface LocalRequest {
  method: string;
  /** What follows the name of the client in the path. */
  path: string[];
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  body: string;
  /** For how long the client can be kept waiting. */
  waitMs: number;
  /** What loopback clients of this process prove themselves with. */
  token: string;
}

export interface LocalAnswer {
  status: number;
  body: string | object;
}

/** One kind of client, in a file of its own: its wire format in and out, and how "waiting for approval" is said in it. */
export interface LocalClient {
  /** First part of its paths. */
  name: string;
  /**
   * For clients that know no Unix socket: where in a request on loopback the token stands, and what is said to whoever does not have it. Without it
   * the client is served on the socket alone.
   */
  loopback?: {
    tokenIn(request: LocalRequest): string | undefined;
    refused: LocalAnswer;
    open?(request: LocalRequest): boolean;
  };
  answer(request: LocalRequest, broker: Broker): Promise<LocalAnswer>;
  /** What has failed on the way, in its own form; text where it has none. */
  failed?(detail: string, request: LocalRequest): LocalAnswer;
}
