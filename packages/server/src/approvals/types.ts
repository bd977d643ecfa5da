import type { Approval, ApprovalState, ArgumentOrigin, Decision, Delegated, EndorsedValue } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import type { Change, DatabaseTransaction } from '../storage/index.ts';
import type { ApprovalEvidence } from './evidence.ts';

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
  /** Null for a task that its agent started for itself, and was not narrowed. */
  delegated: Delegated | null;
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
  origins?: ArgumentOrigin[];
}

export interface Approvals {
  /**
   * Reads everything that is pending or approved. To be called once the feed has started: what changes between opening the
   * database and starting the feed is told by nobody.
   */
  load(): Promise<void>;
  /** `sha256-…` over the canonical form of `{v: 1, …subject}`, with `v: 2` and `delegated` for a delegated task. */
  digest(subject: ApprovalSubject): string;
  /** The newest pending or approved approval of this subject, if any that has not expired. From memory. */
  find(digest: string): Approval | undefined;
  /**
   * Whether anything of this operation is pending or approved in a task. From memory, which every replica fills at its start and with the
   * feed; what another replica has used up counts until it would have run out.
   */
  isOpenIn(of: { task: string; operation: string }): boolean;
  /**
   * Makes one, or gives the one of the same digest that is pending or approved already. Refused beyond the limit per agent
   * (`approval.too-many`), for arguments that nobody can review (`approval.too-large`), and when the agent has been stopped or
   * changed since (`approval.agent-changed`).
   */
  open(request: ApprovalRequest): Promise<Approval>;
  get(id: string): Promise<Approval | undefined>;
  /** What was asked, as it was digested, and what was signed for each yes to it. Undefined where nobody has said yes. */
  signed(id: string): Promise<{ subject: Json; yes: ApprovalEvidence[] } | undefined>;
  list(filter: {
    state?: ApprovalState;
    agent?: string;
    task?: string;
    actionId?: string;
    before?: string;
    limit: number;
  }): Promise<Approval[]>;
  /** By agent: how many of its approvals wait for somebody. Agents without any are left out. */
  countPending(agents: string[]): Promise<ReadonlyMap<string, number>>;
  /** Resolves when it is no longer pending (on any replica), or when the signal aborts (then with what it is). */
  settled(id: string, signal: AbortSignal): Promise<Approval>;

  /**
   * WebAuthn request options; the challenge is `approvalChallenge(id, digest)`, so that a signature is good for this approval and
   * not for the next one of the same action. Throws unless this person may approve it: role approver or the agent's owner, and
   * neither the one who asked for the action nor the one it is done for.
   */
  approvalOptions(id: string, person: string, endorse?: readonly EndorsedValue[]): Promise<Json>;
  /** Verifies the assertion with the person's passkey and moves pending → approved, recorded with the assertion's digest. Refusals are recorded. */
  approve(id: string, person: string, assertion: Json, endorse?: readonly EndorsedValue[]): Promise<Approval>;
  /** No passkey is needed to say no, to what is pending or to what was approved and not used yet. For approvers, security, admins, the owner, and `operator` (the server's host). */
  deny(id: string, person: string, reason: string): Promise<Approval>;
  /** Part of kill and task end: everything pending, and everything approved that was not used yet. */
  cancelAll(transaction: DatabaseTransaction, of: { agent?: string; task?: string }, by: string): Promise<number>;

  /** Lets go of an approval that a dispatch has consumed, or found consumed; the database has decided already. */
  noteConsumed(id: string): void;

  refresh(changes: Change[]): Promise<void>;
  /**
   * Moves what has run out to `expired`, and cancels what was asked in a task that has ended or by an agent that is not active any
   * more; recorded. Called by a timer. Says how many have expired.
   */
  expire(): Promise<number>;
}
