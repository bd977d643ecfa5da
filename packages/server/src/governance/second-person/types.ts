import type { Manifest, ProposalView, ReplayResult } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../../identity/index.ts';
import type { Clock, Json } from '../../platform/index.ts';
import type { ApplyOptions, Registry, Step } from '../../registry/index.ts';
import type { RecordChange, Storage } from '../../storage/index.ts';
import type { Applied, ApplyDependencies } from '../apply-workspace.ts';
import type { ProposedWork } from './proposal-rows.ts';

export type Describe = ApplyDependencies['describe'];

export interface ChangeRequest {
  manifests: Manifest[];
  prune: boolean;
  remove?: readonly string[];
  rollbackTo?: number;
  note: string;
  /** `operator`, or `person:EMAIL`. */
  by: string;
  describe: Describe;
  mayChange?: ApplyOptions['mayChange'];
  /** Looks at each step of what would only be proposed. */
  mayPropose?(step: Step): void;
  first?: ApplyOptions['first'];
}

export interface PolicyChanges {
  /** Applies at once what only tightens, or is asked for where nobody has to agree; proposes the rest. */
  change(request: ChangeRequest): Promise<Applied>;
  /** Throws where `change` would propose it: to be given to a plan. */
  consider: NonNullable<ApplyOptions['consider']>;
  list(filter: { before?: number | undefined; limit: number }, viewer: string): Promise<ProposalView[]>;
  get(number: number, viewer: string): Promise<ProposalView & { manifests: Manifest[] }>;
  work(number: number): Promise<ProposedWork>;
  keepReplay(number: number, result: ReplayResult): Promise<void>;
  /** PublicKeyCredentialRequestOptionsJSON over the proposal and the digest of what was shown. */
  options(number: number, person: string, digest: string): Promise<Json>;
  /** A yes. What the host's token has proposed needs two, of two people: the first is kept, and nothing is changed by it. */
  ship(number: number, person: string, answer: { digest: string; assertion: Json }, describe: Describe): Promise<void>;
  /** Also by its author, who takes it back. */
  reject(number: number, by: string, reason: string): Promise<void>;
}

export interface PolicyChangesDependencies {
  registry: Registry;
  storage: Pick<Storage, 'db' | 'transaction'>;
  people: PasskeyVerification;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
  /** Hears of a new proposal once it is stored. */
  onProposed?(number: number): void;
}
