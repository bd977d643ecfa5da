import type { Approval, Decision, InjectionPlace, Obligations } from '@gatehouse/protocol';
import type { Caller } from '../identity/index.ts';
import type { Json, Secret, TraceContext } from '../platform/index.ts';
import type { Agent, RegisteredTool } from '../registry/index.ts';
import type { Guard } from '../storage/index.ts';
import type { StopOf } from './live.ts';

/** What a door asks to have done. Everything an agent does, and everything a server asks of an agent's client, is one of these. */
export interface Action {
  caller: Caller;
  /** MCP method or the like: `tools/call`, `resources/read`, `prompts/get`, `completion/complete`, `resources/subscribe`, `sampling/createMessage`, `elicitation/create`, `roots/list`, `tasks/get` … */
  operation: string;
  server: string;
  /** Tool, prompt, or resource URI, as the server names it. */
  name: string;
  arguments: Json;
  /** Who makes the call, where that is not Gatehouse. */
  gateway?: AskingGateway;
  /** The call whose data this brings in its stead: the result of an MCP task, what a server asks in the middle of a call. */
  of?: EarlierCall | undefined;
  /** What the request itself says of its trace, and within the enforcement the span of this action; else its caller's counts. */
  trace?: TraceContext | undefined;
  /** Of a credential that is asked for: asked again with it, the same request gives the same. */
  idempotencyKey?: string | undefined;
  /** Given by a door that resumes an action (approval, retry, MRTR round); else a new one is made. */
  actionId?: string;
  /** Only what this approval lets run: nobody is asked anew, and without it nothing runs. For what goes on after its request was answered. */
  under?: string;
  /**
   * Asked before it is let through, or is given what it left, with the id of its records: what must still stand when that is written. Undefined:
   * nobody wants it any more, so that nothing happens.
   */
  stands?(actionId: string): Promise<readonly Guard[] | undefined>;
}

/** The operation of an agent that asks for a credential to use it itself, past the gate. */
export const HAND_OUT = 'credentials/hand-out';
/** On every record of it: what is done with the credential is on none. */
export const UNGATED = 'ungated';

/** A call that was let through, for whatever brings its data by another way than its answer. */
export interface EarlierCall {
  operation: string;
  name: string;
  arguments: Json;
  /** As they were when it was let through. */
  obligations: Obligations | undefined;
}

/** An action of which it is known what may become of it. */
export interface Decided {
  agent: Agent;
  action: Action;
  actionId: string;
  tool: RegisteredTool;
  decision: Decision;
}

/** Another gateway, proven, that asks for the decision and makes the call itself. */
export interface AskingGateway {
  name: string;
  spiffeId: string;
  environment: string;
  /** Tool servers that stand behind it. */
  servers: readonly string[];
  /** What must still hold of it at the dispatch. */
  guards: readonly Guard[];
}

/** A credential of the call's task, as it is added on the way to the server. The agent sees none of it. */
export interface Injection {
  lease: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  /** By the place that it goes to, and by name there; `parts` of one that is handed out. */
  values: Readonly<Partial<Record<InjectionPlace | 'parts', Readonly<Record<string, Secret>>>>>;
  /** What must not come back. */
  secrets: readonly Secret[];
}

/** Step 7 to the door: the record is durable, send now. */
export interface Dispatch {
  actionId: string;
  /** What was decided on, as its record names it. */
  tool: Pick<RegisteredTool, 'ref' | 'digest'>;
  /** What was decided on and recorded, and is to be sent: an argument that limits a result may have been lowered. */
  arguments: Json;
  /** The approval that this used up. */
  approval: string | null;
  /** What is added for its server. */
  credential?: Injection;
  /** To be given with everything that brings its data later. */
  call: EarlierCall;
  /** What the server says before its answer (progress, log lines) as the agent may see it. */
  clean<T extends Json>(message: T): T;
  /**
   * To be called before the agent hears what the server says ahead of its answer: what that brings is durable when this resolves. Undefined:
   * it brings nothing new, so that there is nothing to wait for. Throws what is to be said of a message that the agent may not hear: one call
   * says no more ahead of its answer than its result may have without being held.
   */
  heard(message: Json): Promise<void> | undefined;
  /** The span of the call, for the tool server; undefined where nobody traces it. */
  trace?: TraceContext;
  /** Aborts on kill, suspension, task end and shutdown. */
  signal: AbortSignal;
}

/**
 * What the upstream made of it. `failure` is a tool error or protocol error that the upstream gave; `unknown` is for a call that somebody
 * else makes, once they have been told that they may.
 */
export interface Sent {
  result: 'success' | 'failure' | 'unknown';
  body: Json;
  changes?: string[];
  detail?: string;
}

/** Thrown by a door's `send` when surely no byte left: the outcome is a failure, not `unknown`. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

export type Outcome =
  /** `call`: that which left it, where it was not let through just now and its result was held until a person released it. */
  | { kind: 'done'; actionId: string; sent: Sent; call?: EarlierCall }
  | { kind: 'refused'; actionId: string; decision: Decision }
  | { kind: 'pending'; actionId: string; approval: Approval }
  /** What was to let it run does not any more, and nothing was sent. `superseded`: it is bound to what has changed since, and never will. */
  | { kind: 'gone'; actionId: string; superseded: boolean; detail: string }
  /** It ran, and what came of it is not given out; nobody will be asked to release it. */
  | { kind: 'withheld'; actionId: string; detail: string }
  /** Sent, but nobody knows what came of it: upstream died, timed out, or the call was aborted. Never re-run silently. */
  | { kind: 'unknown'; actionId: string; detail: string };

export interface Foresight {
  /** What would be decided now, budgets included. Nothing is recorded, and nothing may be done on it: for searches and for people who ask. */
  foresee(action: Action): Promise<Decision>;
}

export interface Enforcement {
  enforce(action: Action, send: (dispatch: Dispatch) => Promise<Sent>): Promise<Outcome>;
  /** Names (`server/tool`) that this task may ever use, for listings; from memory. */
  usableTools(caller: Caller, server?: string): Promise<RegisteredTool[]>;
  /** Whether this task may ever get prompts, or read resources, of this server; from memory. */
  usesFeature(caller: Caller, server: string, feature: 'prompts' | 'resources'): boolean;
  /**
   * A stream or session that must end with its agent or task. Returns the way to let go of it. One that came too late, after its
   * agent or task was stopped, is ended as soon as the caller has returned.
   */
  attach(caller: Caller, end: (reason: string) => void): () => void;
  /** Why this caller may do nothing now, if so; from memory. For what a door gives out of its own. */
  whyRefused(caller: Caller): { code: string; reason: string } | undefined;
  /** Ends everything in flight of this agent, task or token; part of applying the feed. */
  stop(of: StopOf, reason: string): void;
  /**
   * What a server says outside of any call, or of a call that was let through earlier (log lines, states of tasks), as this caller may hear
   * it. What it brings is durable when this is there (law 9).
   */
  hear<T extends Json>(caller: Caller, server: string, message: T, of?: EarlierCall): T | Promise<T>;
  /** Actions in flight now, for shutdown and the console. */
  inFlight(): number;
}
