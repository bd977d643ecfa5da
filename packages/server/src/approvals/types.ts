import type { Approval, ApprovalState, Decision } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import type { Change, DatabaseTransaction } from '../storage/index.ts';

/** All that a yes binds (law 4): one changed field is another digest, and waits again. */
export interface ApprovalSubject {
  agent: string;
  agentEpoch: number;
  task: string;
  operation: string;
  tool: string;
  toolDefinition: string;
  arguments: Json;
  policyVersion: string;
}

export interface ApprovalRequest {
  subject: ApprovalSubject;
  actionId: string;
  owner: string;
  intent: string;
  template: string;
  environment: string;
  requestedBy: string | null;
  onBehalfOf: string | null;
  decision: Decision;
}

export interface Approvals {
  /** `sha256-…` over the canonical subject; the challenge of the passkey. */
  digest(subject: ApprovalSubject): string;
  /** The newest pending or approved approval of this subject, if any that has not expired. From memory. */
  find(digest: string): Approval | undefined;
  /** Makes one, or gives the pending one of the same digest. Refused (`too-many`) beyond the limit per agent. */
  open(request: ApprovalRequest): Promise<Approval>;
  get(id: string): Promise<Approval | undefined>;
  list(filter: {
    state?: ApprovalState;
    agent?: string;
    task?: string;
    before?: string;
    limit: number;
  }): Promise<Approval[]>;
  /** Resolves when it is no longer pending (on any replica), or when the signal aborts (then with what it is). */
  settled(id: string, signal: AbortSignal): Promise<Approval>;

  /** WebAuthn request options whose challenge is the digest. Throws unless this person may approve it (not the requester, role approver or owner). */
  approvalOptions(id: string, person: string): Promise<Json>;
  /** Verifies the assertion with the person's passkey and moves pending → approved, recorded with the assertion. */
  approve(id: string, person: string, assertion: Json): Promise<Approval>;
  /** No passkey is needed to say no. */
  deny(id: string, person: string, reason: string): Promise<Approval>;
  /** Part of kill and task end. */
  cancelAll(transaction: DatabaseTransaction, of: { agent?: string; task?: string }, by: string): Promise<number>;

  /** Lets go of an approval that a dispatch has consumed, or found consumed; the database has decided already. */
  noteConsumed(id: string): void;

  refresh(changes: Change[]): Promise<void>;
  /** Moves what has run out to `expired`, recorded; called by a timer. */
  expire(): Promise<number>;
}
