import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Actor, ConsentClient, Role, Task } from '@gatehouse/protocol';
import type { TraceContext } from '../platform/index.ts';
import type { Peer } from './client-certificate/peers.ts';

/** An agent that handed the caller's task on: it counts as long as it is what it was when the caller was let in. */
export interface ChainLink {
  agent: string;
  agentEpoch: number;
  /** The task that it had itself. */
  task: Task;
}

/** A verified agent at work on a task: what every action starts from (law 2). */
export interface Caller {
  agent: string;
  /** Of the agent when the token was made; a token of an older epoch is refused. */
  agentEpoch: number;
  task: Task;
  /** Outermost (presenting) actor first. */
  actorChain: Actor[];
  /** Who handed the task on, nearest first; empty for a task that its agent started itself. */
  chain: ChainLink[];
  tokenId: string;
  /** Where the request came from; absent or null when that is not known. */
  address?: string | null;
  /** The trace that the request says it is part of. */
  trace?: TraceContext | undefined;
  /** Thumbprint of the DPoP key, or null: the token is bound to a certificate instead, or its agent is registered as bearer-only. */
  proofKey: string | null;
  /** The token is bound to a key or certificate, which the caller has shown to have. */
  isBound?: boolean;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** A signed-in person at the control API. Never made from an agent's token (law 4). */
export interface PersonCaller {
  email: string;
  displayName: string;
  roles: Role[];
  session: string;
}

export interface Tokens {
  /**
   * Verifies the access token (RFC 9068, audience, signature, epoch, task, revocation) and that who presents it has what it is
   * bound to: the key of its DPoP proof (RFC 9449), the client certificate of the connection (RFC 8705 §3), or both.
   * `url` is absolute, as the client wrote it, or a path below the public URL. Uses the proof up: one call per request.
   * Throws `unauthenticated` GatehouseErrors whose `extra.challenge` is the WWW-Authenticate value (RFC 6750, RFC 9728) and whose
   * `extra.dpopNonce`, if any, is the DPoP-Nonce value; `unavailable` while the change feed is stale.
   */
  authenticate(request: {
    authorization: string | undefined;
    dpop: string | undefined;
    method: string;
    url: string;
    /**
     * Path of the resource that the token must be for (`/mcp/SERVER`), where `url` is not below the public URL: the agent is at another
     * gateway. Then a bound key is needed, whatever the agent's manifest says, so that the gateway cannot use the token itself.
     */
    resource?: string | undefined;
    /** Who is at the other end of the connection; without it a token that is bound to a certificate is refused. */
    peer?: Peer | undefined;
  }): Promise<Caller>;
}

export interface Vouching {
  /** An agent that somebody trusted with it has authenticated: as if it had come with a token of this task. Throws `forbidden` GatehouseErrors. */
  vouchedFor(agent: string, task: string): Promise<Caller>;
}

export interface AuthorizationServer {
  /** Answers /oauth/* and the AS metadata and JWKS documents; true when the request was one of them. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** `METHOD /path` of every route that can mint something for an agent: enumerated by the kill tests. */
  issuancePaths(): string[];
  /** What a person is told of a client; undefined when there is none of this id. */
  describeClient(id: string, redirectUri: string | null): Promise<ConsentClient | undefined>;
  /** Loads what the first token request would have to wait for (a fifth of a second). Call it when nothing else waits. */
  warm(): Promise<void>;
}
