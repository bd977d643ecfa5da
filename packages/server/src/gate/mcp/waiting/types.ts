import type { Approval } from '@gatehouse/protocol';
import type { Caller } from '../../../identity/index.ts';
import type { Guard } from '../../../storage/index.ts';
import type { Era, UpstreamAnswer } from '../../upstream/types.ts';
import type { Call } from '../agent-side.ts';

/** Whose task it is, and at which address: for anybody else, and anywhere else, it is not there. */
export interface Whose {
  caller: Caller;
  view: string | null;
  era: Era;
}

/** A call of an agent that waits or runs as an MCP task of the gate's own. */
export interface WaitingTask {
  id: string;
  call: Call;
  /** What lets it run; null: nobody had to be asked so far. */
  approval: string | null;
  actionId: string;
  state: 'waiting' | 'done' | 'cancelled';
  /** Its client has answered what it was asked to open. */
  shown: boolean;
  answer: UpstreamAnswer | null;
  createdAt: number;
  updatedAt: number;
  expiresAt: number;
}

export interface NewWaitingTask {
  call: Call;
  approval: Approval | null;
  actionId: string;
  ttlMs: number;
}

/**
 * In the database, so that every replica has them, also after a restart. INVARIANT: its fence stands as long as a task waits and nobody has
 * stopped it, and a dispatch for it is guarded by that: once it is said that it has ended, it is let through nowhere.
 */
export interface WaitingRows {
  /** The one that waits for this approval already, or a new one. Throws `task.too-many-waiting`. */
  open(whose: Whose, of: NewWaitingTask): Promise<WaitingTask>;
  find(whose: Whose, id: string): Promise<WaitingTask | undefined>;
  /** The newest first. */
  list(whose: Whose): Promise<WaitingTask[]>;
  /** It waits for this one now, unless another does already: the one that waits for it. Undefined: it has ended, and nothing waits. */
  waitFor(id: string, approval: Approval): Promise<WaitingTask | undefined>;
  /** It is to be let through under the id of this action: what must stand then. Undefined: it is not to be any more. */
  stands(id: string, actionId: string): Promise<Guard[] | undefined>;
  /** It is let through no more, and has not ended yet. False: it is not as it was seen. */
  stop(seen: WaitingTask): Promise<boolean>;
  show(id: string): Promise<void>;
  /** Once, as it was then: undefined when it had ended before. */
  end(id: string, state: 'done' | 'cancelled', answer: UpstreamAnswer): Promise<WaitingTask | undefined>;
  /** It was never told of. */
  forget(id: string): Promise<void>;
  sweep(): Promise<void>;
}
