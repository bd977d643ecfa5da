import type { Decision } from './records.ts';

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'consumed';

/** One person's yes to one action (law 4), as shown to approvers. */
export interface Approval {
  id: string;
  actionId: string;
  state: ApprovalState;
  /**
   * SHA-256 over the RFC 8785 form of `{v: 1, agent, agentEpoch, task, operation, tool, toolDefinition, arguments, policyVersion}`.
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
  requestedBy: string | null;
  onBehalfOf: string | null;
  decision: Decision;
  createdAt: number;
  expiresAt: number;
  decidedAt: number | null;
  decidedBy: string | null;
  reason: string | null;
}
