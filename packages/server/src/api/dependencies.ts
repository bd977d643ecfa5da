import type { OffboardResult } from '@gatehouse/protocol';
import type { Approvals, Channels } from '../approvals/index.ts';
import type { Credentials, Secrets, SecretUses } from '../credentials/index.ts';
import type { Budgets, Enforcement, Foresight, HeldResults, OpenCalls, Standings } from '../enforcement/index.ts';
import type { UpstreamAuthorizations, Upstreams } from '../gate/index.ts';
import type { Offboarding, PolicyChanges, Rehearsals } from '../governance/index.ts';
import type {
  CompanySignIn,
  Confirmations,
  Consents,
  Delegations,
  Federation,
  KeyInventory,
  People,
  PushKeys,
  PushSubscriptions,
  ScimTokens,
  SessionProof,
  TrustDomain,
  Vouching,
} from '../identity/index.ts';
import type { Export, Keeping, Ledger, Reads, Retention } from '../ledger/index.ts';
import type { Clock, Config, Log, Secret } from '../platform/index.ts';

import type { Baseline, Flow, PolicySet } from '../policy/index.ts';

import type { PinnedDefinition, Registry, Snapshot } from '../registry/index.ts';

import type { KeyRing, RecordChange, Rewrapper, Storage } from '../storage/index.ts';

export interface ApiDependencies {
  config: Config;
  storage: Storage;
  registry: Registry;
  people: People;
  sessionProof: SessionProof;
  trustDomain: TrustDomain;
  consents: Consents;
  confirmations: Confirmations;
  companySignIn: CompanySignIn;
  scimTokens: ScimTokens;
  federation: Federation;
  policyChanges: PolicyChanges;
  rehearsals: Rehearsals;
  approvals: Approvals;
  channels: Pick<Channels, 'list' | 'show' | 'deliveries' | 'test' | 'device' | 'pushChannels'>;
  push: Pick<PushSubscriptions, 'list' | 'add' | 'remove' | 'serviceOf'> & Pick<PushKeys, 'key'>;
  delegations: Delegations;
  ledger: Ledger;
  reads: Reads;
  keeping: Keeping;
  retention: Retention;
  /** The set compiled from exactly this snapshot. */
  policies(snapshot: Snapshot): PolicySet;
  enforcement: Enforcement & Foresight & Standings;
  vouching: Vouching;
  budgets: Budgets;
  sinks: Export;
  held: Pick<HeldResults, 'get' | 'list'>;
  openCalls: Pick<OpenCalls, 'list' | 'resolve'>;
  flow: Pick<Flow, 'show'>;
  baseline: Pick<Baseline, 'show' | 'reset' | 'accept'>;
  upstreams: Upstreams;
  authorizations: UpstreamAuthorizations;
  secrets: Secrets;
  secretUses: SecretUses;
  credentials: Credentials;
  recordChange: RecordChange;
  offboard(email: string, how: Offboarding): Promise<OffboardResult>;
  keys: KeyInventory;
  keyRing: KeyRing;
  rewrapper: Rewrapper;
  operatorToken: Secret;
  /** Asks the server what it offers now and holds back what is new; gives what is newly held. */
  refreshDefinitions(server: string, by: string): Promise<PinnedDefinition[]>;
  clock: Clock;
  log: Log;
  startedAt: number;
  /** The built console; without it only the API is served. */
  consoleDir?: string;
}
