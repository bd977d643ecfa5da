import type { Decision } from './records.ts';

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'consumed';

/** On whose authority an action is done, beyond the agent's own (law 5). All of it is verified. */
export interface Delegated {
  /** Email of the person for whom it is done. */
  user: string | null;
  /** Who handed the task on, nearest first, each with the task that it had. */
  chain: { agent: string; agentEpoch: number; task: string }[];
  /** Tool patterns: of each narrowing on the way, the task's own first. */
  narrowing: string[][];
}

/** One person's yes to one action (law 4), as shown to approvers. */
export interface Approval {
  id: string;
  actionId: string;
  state: ApprovalState;
  /**
   * SHA-256 over the RFC 8785 form of `{v: 1, agent, agentEpoch, task, operation, tool, toolDefinition, arguments, policyVersion}`,
   * or `{v: 2, …the same, delegated}` where `delegated` is not null.
   * The passkey signs this together with `id`: its challenge is the SHA-256 of the RFC 8785 form of `{v: 1, approval: id, digest}`.
   */
  digest: string;
  agent: string;
  agentEpoch: number;
  owner: string;
  task: string;
  intent: string;
  template: string;
  environment: string;
  /** `tools/call`, `resources/read` … */
  operation: string;
  tool: string;
  toolDefinition: string;
  arguments: unknown;
  delegated: Delegated | null;
  requestedBy: string | null;
  onBehalfOf: string | null;
  decision: Decision;
  createdAt: number;
  expiresAt: number;
  decidedAt: number | null;
  decidedBy: string | null;
  reason: string | null;
}
