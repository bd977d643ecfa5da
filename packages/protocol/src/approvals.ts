import type { Decision } from './records.ts';

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'consumed';

/** One person's yes to one action (law 4), as shown to approvers. */
export interface Approval {
  id: string;
  actionId: string;
  state: ApprovalState;
  /** SHA-256 over the canonical form of all that is approved; the passkey signs exactly this. */
  digest: string;
  agent: string;
  owner: string;
  task: string;
  intent: string;
  template: string;
  environment: string;
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
