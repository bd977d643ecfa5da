import type { Decision, GrantRequest, GrantTerms, PersonManifest, StandingGrant } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../../identity/index.ts';
import type { Clock, Log } from '../../platform/index.ts';
import type { Change, CounterSpend, DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { ApprovalEvidence } from '../evidence.ts';
import type { ApprovalSubject } from '../types.ts';
import type { HeldGrant } from './rows.ts';

export interface GrantDependencies {
  storage: Storage;
  registry: {
    snapshot(): {
      readonly people: ReadonlyMap<string, PersonManifest>;
      readonly agents: ReadonlyMap<
        string,
        { state: string; epoch: number; manifest: { owner: string; environment: string } }
      >;
    };
  };
  people: Pick<PasskeyVerification, 'wasEnrolled'>;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  publicUrl: string;
  /** Whether one yes of this person, said then, meets all that is asked for such a call, by who they are now. */
  isGivenBy(subject: ApprovalSubject, person: string, at: number): boolean;
}

/** More calls like one that was approved: looked up from memory, counted and checked again in the write that dispatches the call. */
export interface StandingGrants {
  load(): Promise<void>;
  refresh(changes: readonly Change[]): Promise<void>;
  /** One that covers this call, which policies now let be covered. `except`: those that have no room for it. From memory. */
  find(of: { subject: ApprovalSubject; decision: Decision; except: ReadonlySet<string> }): HeldGrant | undefined;
  /** What a covered call counts. */
  spend(grant: HeldGrant, args: ApprovalSubject['arguments']): CounterSpend;
  /** The terms as they are to be signed, where they are allowed for this call. */
  termsFor(of: Grantable, request: GrantRequest): GrantTerms;
  /** Part of the yes that it was signed with. In words, for the record. */
  give(
    transaction: DatabaseTransaction,
    of: Grantable & { approval: string; terms: GrantTerms; evidence: ApprovalEvidence },
  ): Promise<string[]>;
  get(id: string): Promise<StandingGrant | undefined>;
  list(filter: {
    agent?: string | undefined;
    task?: string | undefined;
    /** Only those that could cover something now. */
    inForce?: boolean | undefined;
    before?: string | undefined;
    limit: number;
  }): Promise<StandingGrant[]>;
  revoke(id: string, person: string, reason: string): Promise<StandingGrant>;
  /** Part of kill and task end. */
  endAll(transaction: DatabaseTransaction, of: { agent?: string; task?: string }, by: string): Promise<number>;
}

/** A call that waits, and for how long its task goes on. */
export interface Grantable {
  subject: ApprovalSubject;
  digest: string;
  decision: Decision;
  taskEndsAt: number;
  /** Who gives it. */
  person: string;
}
