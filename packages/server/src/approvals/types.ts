import type {
  Approval,
  ApprovalProgress,
  ApprovalRisk,
  ApprovalState,
  ArgumentOrigin,
  AskedRule,
  BreakGlass,
  Decision,
  Delegated,
  EndorsedValue,
  GrantRequest,
  GrantTerms,
  Undo,
} from '@gatehouse/protocol';
import type { PasskeyVerification } from '../identity/index.ts';
import type { Clock, Json, Log } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import type { Change, DatabaseTransaction, RecordChange, Sealer, Storage } from '../storage/index.ts';
import type { BreakGlasses } from './break-glass/index.ts';
import type { UseUp } from './channels/answers.ts';
import type { Answer } from './channels/types.ts';
import type { Deputies } from './deputies.ts';
import type { ApprovalEvidence } from './evidence.ts';
import type { HeldGrant, StandingGrants } from './grants/index.ts';
import type { ListedApproval } from './subject.ts';

/** All that a yes binds (law 4): one changed field is another digest, and waits again. */
export interface ApprovalSubject {
  agent: string;
  agentEpoch: number;
  task: string;
  operation: string;
  tool: string;
  toolDefinition: string;
  arguments: Json;
  /** Of their digest, base64url, the same that the records of the action have; goes with them. Absent in approvals from before there was one. */
  argumentsSalt?: string;
  /** Of arguments that were erased with their salt. */
  argumentsDigest?: string;
  policyVersion: string;
  /** Null for a task that its agent started for itself, and was not narrowed. */
  delegated: Delegated | null;
  /** Who has to say yes, as it was when it was asked. Left out or empty: the agent's owner or one approver. */
  rules?: readonly AskedRule[];
  /** The call that does the same and of which nobody knows whether it ran: a yes that was given without it is none. */
  repeats?: string;
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
  undo?: Undo;
  risk?: ApprovalRisk;
}

/** Where people are told of what waits for them: within the transaction, so that it is told once or not at all. */
export interface Tell {
  /** Somebody asks to break the glass, signs it, opens, ends or reviews it: told at once and to many. */
  onBreakGlass?(transaction: DatabaseTransaction, glass: BreakGlass): Promise<void>;
  /** It waits for these people: newly asked, or another step of its rules has opened for them. */
  onAsked?(transaction: DatabaseTransaction, approval: Approval, people: string[]): Promise<void>;
  /** Nobody has answered for so long that these may as well. */
  onEscalated?(transaction: DatabaseTransaction, approval: Approval, people: string[]): Promise<void>;
  /** It waits for nobody any more. */
  onDecided?(transaction: DatabaseTransaction, approval: Approval): Promise<void>;
}

export interface ApprovalsDependencies {
  storage: Storage;
  /** Who people are, and which rules there are. */
  registry: {
    snapshot(): Pick<
      Snapshot,
      | 'people'
      | 'groups'
      | 'channels'
      | 'onCall'
      | 'agents'
      | 'approvalRules'
      | 'servers'
      | 'environments'
      | 'blueprints'
      | 'templates'
    >;
  };
  people: PasskeyVerification;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
  /** Keeps what a person endorses with a yes, in the transaction of that yes. Says it in words, for the record. */
  endorse?: (
    transaction: DatabaseTransaction,
    of: { approval: string; task: string; person: string; values: readonly EndorsedValue[] },
  ) => Promise<string[]>;
  /** Told, in the same transaction, of an approval that ends without having been used. */
  onEnded?: ((transaction: DatabaseTransaction, id: string) => Promise<void>) | undefined;
  /** Told whom to ask. */
  tell?: Tell;
  /** Seals what channels say, and what is kept of approvals and of what else lets calls run. */
  sealer: Sealer;
  /** Its origin is what a yes must have been signed for. */
  publicUrl: string;
}

export interface SignedApproval {
  subject: Json;
  salted: { arguments: Json; salt: string } | null;
  yes: ApprovalEvidence[];
}

export interface Approvals {
  /** Emergencies in which two people let calls run without an approval. */
  readonly breakGlass: Omit<BreakGlasses, 'load' | 'refresh' | 'endAll' | 'sweep'>;
  /** More calls like one that was approved. */
  readonly grants: Omit<StandingGrants, 'load' | 'refresh' | 'give' | 'endAll'>;
  /** The rules of these names (`Decision.obligations.approvers`), as a subject binds them. Throws where one is not there. */
  rulesNamed(names: readonly string[] | undefined): AskedRule[];
  /**
   * The newest pending or approved approval of this action, whatever its salt, if any that has not expired. From memory. One whose yes was given by people
   * who could not give it any more is not found as approved.
   */
  find(subject: ApprovalSubject): Approval | undefined;
  /**
   * Whether anything of this operation is pending or approved in a task. From memory, which every replica fills at its start and with the
   * feed; what another replica has used up counts until it would have run out.
   */
  isOpenIn(of: { task: string; operation: string }): boolean;
  /**
   * Makes one, or gives the one of the same action that is pending or approved already. Refused beyond the limit per agent
   * (`approval.too-many`), for arguments that nobody can review (`approval.too-large`), and when the agent has been stopped or
   * changed since (`approval.agent-changed`).
   */
  open(request: ApprovalRequest): Promise<Approval>;
  get(id: string): Promise<Approval | undefined>;
  /** Approvals as they stand in the database, whatever became of them, each with what does not hold together in it, or null. For audits. */
  inspect(ids: readonly string[]): Promise<{ approval: Approval; problem: string | null }[]>;
  /**
   * What was asked, as it was digested (null once its arguments are erased, of approvals from before these had a salt), the arguments with their
   * salt (null once they are erased), and what was signed for each yes to it. Undefined where nobody has said yes.
   */
  signed(id: string): Promise<SignedApproval | undefined>;
  /** Who has said yes, who can now, what is missing and when it escalates. */
  progress(approval: Approval): ApprovalProgress;
  /** Emails of those whose yes would bring it further now. */
  whoMayApprove(approval: Approval): string[];
  /** Everybody whom its rules name, with their deputies: whether or not their yes counts now. */
  namedFor(approval: Approval): string[];
  /** Whose later change makes a yes, or the grant that was given with it, worthless, those in whose place it was said included: the dispatch guards them. */
  peopleOf(of: Pick<Approval, 'votes'> | Pick<HeldGrant, 'givenBy'>): string[];
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
   * not for the next one of the same action. Throws unless a yes of this person counts now: by the rules that its policies name, or,
   * without any, as approver or the agent's owner; never of the one who asked for the action or for whom it is done.
   */
  approvalOptions(id: string, person: string, endorse?: readonly EndorsedValue[]): Promise<Json>;
  /**
   * Verifies the assertion with the person's passkey, keeps it as their yes, and moves pending → approved once all rules are met; recorded with
   * the assertion's digest. Refusals are recorded.
   */
  approve(
    id: string,
    person: string,
    assertion: Json,
    endorse?: readonly EndorsedValue[],
    grant?: GrantTerms,
  ): Promise<Approval>;
  /** Options of a yes that grants more calls like it, with the terms as they are signed. */
  grantOptions(
    id: string,
    person: string,
    grant: GrantRequest,
    endorse?: readonly EndorsedValue[],
  ): Promise<{ options: Json; terms: GrantTerms }>;
  /**
   * The same for a list of one kind (`listChallenge`): each with its digest, by id. Throws `approval.alone` for what is approved by itself
   * only, `approval.list-mixed` for what is not of one kind, `approval.changed` where a digest is another one.
   */
  listOptions(list: readonly ListedApproval[], person: string): Promise<Json>;
  /** All of them or none: each with a record and a use of its own. */
  approveList(list: readonly ListedApproval[], person: string, assertion: Json): Promise<Approval[]>;
  /**
   * No passkey is needed to say no, to what is pending or to what was approved and not used yet. For approvers and those whom its rules name
   * (as many as the rule says), and for security, admins, the owner, and `operator` (the server's host), each of whom ends it alone.
   */
  deny(id: string, person: string, reason: string, channel?: string, useUp?: UseUp): Promise<Approval>;
  /** A yes that was said in a channel. Only where a rule accepts the identity that the channel has verified. */
  approveThrough(id: string, person: string, channel: string, answer: Answer, useUp?: UseUp): Promise<Approval>;
  /** Whoever asked does not want it any more: cancelled, unless it was decided or used before. */
  withdraw(id: string, by: string): Promise<void>;
  /** Part of kill and task end: everything pending, and everything approved that was not used yet. */
  cancelAll(transaction: DatabaseTransaction, of: { agent?: string; task?: string }, by: string): Promise<number>;

  /** Who says yes in whose place. */
  readonly deputies: Deputies;

  /** Lets go of an approval that a dispatch has consumed, or found consumed; the database has decided already. */
  noteConsumed(id: string): void;

  refresh(changes: Change[]): Promise<void>;
  /**
   * Moves what has run out to `expired`, and cancels what was asked in a task that has ended or by an agent that is not active any
   * more, or approved by people who could not approve it now; escalates what has waited too long; recorded. Called by a timer. Says how many
   * have expired.
   */
  expire(): Promise<number>;
}
