import type { ApprovalState } from './approvals.ts';

/** A result that waits for a person, by what is known of it: what it says is sealed, and shown to nobody. */
export interface HeldResult {
  id: string;
  agent: string;
  task: string;
  /** As records name it: `server/tool`, `server#resources`. */
  tool: string;
  /** The call that has run. */
  action: string;
  /** Why it is held. */
  reason: string;
  bytes: number;
  /** Of its longest list. */
  items: number;
  /** What was done to it and found in it before it was sealed. */
  labels: string[];
  /** The approval that releases it; null until the agent has asked again since policies changed. */
  approval: string | null;
  /** `approved`: released, and not fetched by the agent yet. */
  state: ApprovalState | null;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** When it is deleted, unless it was fetched before. */
  expiresAt: number;
}
