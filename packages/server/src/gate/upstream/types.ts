import type { ToolServerManifest } from '@gatehouse/protocol';
import type { Injection } from '../../enforcement/index.ts';
import type { Json, JsonObject } from '../../platform/index.ts';
import type { ServedDefinition } from '../../registry/index.ts';

/**
 * The client side toward MCP servers, as the door sees it. Both eras look alike here except where the protocol itself
 * differs; what differs says so. Nothing here decides whether a call may happen.
 */
export type Era = '2025-11-25' | '2026-07-28';

export interface JsonRpcError {
  code: number;
  message: string;
  data?: Json;
}

/** What the server made of a request: its result as it gave it (also `input_required`), or its JSON-RPC error. */
export type UpstreamAnswer = { result: JsonObject } | { error: JsonRpcError };

export interface UpstreamRequest {
  /** As the server's era names it. `initialize`, `server/discover` and `subscriptions/listen` are not for callers. */
  method: string;
  /** `_meta.progressToken` is replaced on the way and put back in progress notifications; the era's own `_meta` keys are set here. */
  params: JsonObject;
  /** `Mcp-Param-*` only (2026-07-28, see `parameterHeaders`); other names are ignored. */
  headers?: Record<string, string>;
  /** Goes as a header where the transport has any; `params._meta` has it, too. */
  traceparent?: string | undefined;
  /** Makes the transaction token for the server at this origin; called by a connection to a server that wants them, as the request is sent. */
  txnToken?(audience: string): string;
  /** 2026-07-28: what this request declares, instead of what `connect` was given. */
  clientCapabilities?: JsonObject;
}

export interface ServerMessage {
  method: string;
  params: JsonObject;
}

/** Throw this from `onServerRequest` to answer the server with an error; anything else thrown becomes -32603. */
export class JsonRpcFailure extends Error {
  override readonly name = 'JsonRpcFailure';
  readonly error: JsonRpcError;

  constructor(error: JsonRpcError) {
    super(error.message);
    this.error = error;
  }
}

/** Answers what a server asks of its client: `sampling/createMessage`, `elicitation/create`, `roots/list` (2025-11-25 only). */
export type ServerRequestHandler = (message: ServerMessage, signal: AbortSignal) => Promise<JsonObject>;

export interface UpstreamHooks {
  /** Aborting cancels the request at the server, too; `request` then throws `aborted`. */
  signal: AbortSignal;
  /** Notifications that belong to this request (progress, message…), one at a time, in order, before the answer. */
  onNotification?(message: ServerMessage): void | Promise<void>;
  /**
   * Without it the server is told -32601. The idle timeout rests meanwhile. The signal aborts when the server takes its
   * request back or the surrounding request ends. Over stdio a server's request names no request of ours: it goes to the
   * one that was sent last.
   */
  onServerRequest?: ServerRequestHandler;
}

/**
 * - `unreachable`: could not connect, spawn or initialize, or is being restarted (backoff).
 * - `refused`: answered, but not with MCP: an HTTP status such as 401, 403 or 429.
 * - `lost`: the connection, process or session ended before the answer.
 * - `violation`: broke the protocol or a limit; the connection is closed.
 * - `timeout`: no answer and no progress for too long; cancelled at the server.
 * - `aborted`: the caller's signal.
 */
export type UpstreamFailureKind = 'unreachable' | 'refused' | 'lost' | 'violation' | 'timeout' | 'aborted';

export class UpstreamFailure extends Error {
  override readonly name = 'UpstreamFailure';
  readonly kind: UpstreamFailureKind;
  /** False: the request surely did not run, so that a retry is safe. True: nobody knows. */
  readonly mayHaveRun: boolean;
  /** HTTP status of `refused`. */
  readonly status: number | undefined;

  constructor(
    kind: UpstreamFailureKind,
    detail: string,
    options: { mayHaveRun?: boolean; status?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.mayHaveRun = options.mayHaveRun ?? kind !== 'unreachable';
    this.status = options.status;
  }
}

/** What to be told of; the shape of 2026-07-28's subscription filter. */
export interface Watch {
  toolsListChanged?: boolean;
  promptsListChanged?: boolean;
  resourcesListChanged?: boolean;
  resourceSubscriptions?: string[];
}

export interface UpstreamConnection {
  readonly era: Era;
  /** The exact revision spoken: `2025-06-18` and `2025-03-26` are of era 2025-11-25. */
  readonly protocolVersion: string;
  readonly serverInfo: JsonObject;
  readonly capabilities: JsonObject;
  readonly instructions: string | undefined;
  /** Aborts when the connection ends for good; `connect` then makes another. The reason is an UpstreamFailure. */
  readonly closed: AbortSignal;
  /** Throws UpstreamFailure. */
  request(request: UpstreamRequest, hooks: UpstreamHooks): Promise<UpstreamAnswer>;
  notify(method: string, params?: JsonObject): Promise<void>;
  /**
   * Everything that belongs to no request: list_changed, resources/updated, message, elicitation/complete, tasks/status. On a
   * shared connection each listener hears of what any of them watches, and no log messages.
   */
  onUnsolicited(listener: (message: ServerMessage) => void): () => void;
  /**
   * Asks the server to announce changes: `resources/subscribe` in 2025-11-25 (list changes need no asking there),
   * `subscriptions/listen` in 2026-07-28. Counted, so that two watchers of one resource do not end each other's watch.
   * Restored after a reconnect. Throws JsonRpcFailure when the server refuses.
   */
  watch(what: Watch): Promise<() => Promise<void>>;
  close(reason: string): Promise<void>;
}

/** Whose connection it is. Servers declared stateless share one per environment: `task` and `session` are then ignored. */
export interface UpstreamScope {
  environment: string;
  task: string;
  session?: string;
}

/** What every request or the process carries; `secrets` are taken out of all that the server says. */
export type UpstreamCredential = Injection;

/** What the gate is toward the server in this scope. */
export interface UpstreamClient {
  /**
   * Only what the manifest's `clientRequests` grants and the agent's client can do. A shared connection declares none in
   * 2025-11-25 (there nobody could tell whose answer is wanted), and per request in 2026-07-28.
   */
  capabilities: JsonObject;
  /** What is injected for the task. A connection has one or none, and ends with it. */
  credential?: UpstreamCredential;
  /** Default: Gatehouse itself. */
  info?: JsonObject;
  /** What the server asks outside of any request of ours (`roots/list` after `initialized`). Ignored on a shared connection. */
  onServerRequest?: ServerRequestHandler;
}

export interface UpstreamStats {
  connections: number;
  /** Running stdio servers. */
  processes: number;
  requestsInFlight: number;
  /** Since start. */
  requests: number;
  restarts: number;
  /** Answers with an unknown or already answered id, dropped. */
  strayAnswers: number;
  violations: number;
}

export interface Upstreams {
  /**
   * The live connection of (server, environment, task, session, capabilities), or a new one: a memory lookup when it lives.
   * Throws UpstreamFailure `unreachable` (also while a dead one waits for its restart) and GatehouseError: `forbidden`
   * `upstream.not-isolated` when a production environment cannot isolate the server, `too-many` at limits.sessionsPerTask.
   */
  connect(server: ToolServerManifest, scope: UpstreamScope, client: UpstreamClient): Promise<UpstreamConnection>;
  /** All that a server serves, page by page, exactly as served, over a connection of its own. Throws like `connect` and `request`. */
  describe(server: ToolServerManifest, credential?: UpstreamCredential): Promise<ServedDefinition[]>;
  /** Closes what matches all members given: a task that ended, a session that was deleted, a server that was removed. */
  end(of: { server?: string; task?: string; session?: string } | { lease: string }): Promise<void>;
  /** What kept the server from being reached is gone: it is tried again at once. */
  forgive(server: string): void;
  close(): Promise<void>;
  stats(): UpstreamStats;
}
