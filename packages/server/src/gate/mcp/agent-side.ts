import type { Approval } from '@gatehouse/protocol';
import type { Caller } from '../../identity/index.ts';
import type { JsonObject } from '../../platform/index.ts';
import type { Guard } from '../../storage/index.ts';
import type { Era, ServerMessage, UpstreamAnswer, UpstreamConnection } from '../upstream/types.ts';
import type { Audience } from './connections.ts';
import type { View } from './view.ts';

/** One request of an agent's client, as the era-neutral part of the door sees it. Each era makes its own. */
export interface AgentSide {
  readonly caller: Caller;
  readonly view: View;
  readonly era: Era;
  /** As the client declared them. */
  readonly capabilities: JsonObject;
  /** 2025-11-25: the session, which has upstream connections of its own. */
  readonly session: string | undefined;
  /** Who hears what the servers of this session say on their own. */
  readonly audience?: Audience;
  readonly progressToken: string | number | undefined;
  /** Log messages below this level are not wanted; null: none are. */
  readonly logLevel: string | null;
  /** Aborts when the client cancels or leaves, and when the agent or its task ends. */
  readonly signal: AbortSignal;
  notify(method: string, params: JsonObject): void;
  /** Puts a server's request to the client and waits for its answer. Decided on before. Throws JsonRpcFailure. */
  ask(message: ServerMessage, signal: AbortSignal, from: UpstreamConnection | undefined): Promise<UpstreamAnswer>;
  /** A person has to approve: null when that is decided and the action can go on, else what the client is told now. */
  awaitApproval(approval: Approval, actionId: string, call: Call): Promise<UpstreamAnswer | null>;
  /** Its client takes an MCP task for the answer to this request, and would have its result kept for so long. */
  readonly takesTask?: { ttlMs: number | null };
  /** The same client when this request has its answer; undefined once it is gone. */
  later?(): AgentSide | undefined;
  /** 2026-07-28: ends this round with what a server wants to know. Absent where the client can be asked directly. */
  endRound?(round: ServerRound): UpstreamAnswer;
}

export interface ServerRound {
  actionId: string;
  round: number;
  /** The server's own `requestState`. */
  state: string | null;
  inputRequests: JsonObject;
}

/** What is to be done at a server, in the server's own names. */
export interface Call {
  method: string;
  server: string;
  /** Tool, prompt, resource URI or task. */
  name: string;
  /** What is decided on and recorded. */
  arguments: JsonObject;
  /** What is sent. */
  params: JsonObject;
  actionId?: string;
  /** Only what this approval lets run (`Action.under`). */
  under?: string;
  /** What must still stand when it is let through (`Action.stands`). */
  stands?(actionId: string): Promise<readonly Guard[] | undefined>;
  /** Of a task of the gate's own: what the server makes a task of is waited for. */
  settles?: boolean;
  /** Rounds of input that went before (2026-07-28). */
  round?: number;
  /** What is done at the server instead of sending `method`. */
  perform?(connection: UpstreamConnection): Promise<JsonObject>;
}

const logLevels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

export const isLogLevel = (level: unknown): level is string => typeof level === 'string' && logLevels.includes(level);

/** Whether a message of this level passes a threshold. */
export function levelPasses(level: unknown, threshold: string | null): boolean {
  return threshold !== null && isLogLevel(level) && logLevels.indexOf(level) >= logLevels.indexOf(threshold);
}
