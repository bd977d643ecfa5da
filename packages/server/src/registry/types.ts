import type {
  AgentManifest,
  AgentMappingManifest,
  ApprovalRuleManifest,
  ArgumentRole,
  BlueprintManifest,
  BudgetManifest,
  CalendarManifest,
  ChannelManifest,
  ClientManifest,
  ControlPolicyManifest,
  CredentialProviderManifest,
  DetectorManifest,
  Effect,
  EnvironmentManifest,
  GroupManifest,
  IdentityProviderManifest,
  Lifecycle,
  Manifest,
  OnCallManifest,
  PersonManifest,
  PlanChange,
  PolicyManifest,
  QuietHours,
  ResourceServerManifest,
  RetentionManifest,
  Role,
  RoleMappingManifest,
  SinkManifest,
  Task,
  TaskDetails,
  TemplateManifest,
  TicketSystemManifest,
  Tier,
  ToolServerManifest,
  Trust,
  TrustDomainManifest,
  TrustRuleManifest,
  WorkloadManifest,
} from '@gatehouse/protocol';
import type { Json, JsonObject } from '../platform/index.ts';
import type { Change, DatabaseTransaction } from '../storage/index.ts';

import type { StartRequest } from './bulk.ts';
import type { PersonChanges } from './persons.ts';
import type { Step } from './plan.ts';
import type { VersionNote } from './policy-versions.ts';
import type { RevokedToken } from './revoked-tokens.ts';
import type { AgentLimit } from './suspend-task.ts';
import type { TaskGrounds } from './tasks.ts';
import type { Workload } from './workloads.ts';

export type { Workload };

export interface Agent {
  manifest: AgentManifest;
  name: string;
  spiffeId: string;
  state: Lifecycle;
  epoch: number;
  killedAt: number | null;
}

/** A person with where they come from. */
export interface KnownPerson {
  email: string;
  displayName: string;
  /** Declared: those of the manifest. Provisioned: what groups are worth. None for who has left. */
  roles: Role[];
  /** Of the directory. */
  groups: string[];
  /** `manifest`, `scim`, or `oidc/NAME`. */
  source: string;
  /** Also named by a directory, which then says when they leave. */
  provisioned: boolean;
  successor: string | null;
  /** Declared: those of the manifest. */
  quietHours?: QuietHours | undefined;
  departed: { at: number; by: string; successor: string | null; keepKeys?: boolean } | null;
}

export type DefinitionKind = 'tool' | 'prompt' | 'resource-template' | 'resource' | 'instructions';

/** What a server says of one thing it offers, exactly as served; its digest covers the whole body in canonical form. */
export interface ServedDefinition {
  kind: DefinitionKind;
  /** Tool or prompt name, resource URI or URI template; `` for instructions. */
  name: string;
  body: Json;
}

export interface PinnedDefinition {
  server: string;
  kind: DefinitionKind;
  name: string;
  state: 'approved' | 'held' | 'missing';
  approved: { digest: string; body: Json } | null;
  /** Differs from `approved` while a change waits for review. */
  served: { digest: string; body: Json } | null;
  /** Of an approved definition: who approved it. Of a held one: who rejected it, if anybody did. */
  reviewedBy: string | null;
  reviewedAt: number | null;
  /** When what is served now was first seen. */
  seenAt: number;
  /** Why it is held, in words for the reviewer; null when it is not. */
  reason: string | null;
}

export interface ToolLabels {
  domain: string | null;
  /** By argument. */
  roles: Readonly<Record<string, ArgumentRole>>;
  /** Destinations that may be left out: then the call goes to nobody new. */
  nobodyWithout: readonly string[];
  returns: {
    trust: Trust;
    sensitive: readonly string[];
    /** Parts of the structured result, by path. */
    fields: Readonly<Record<string, { trust?: Trust; sensitive?: readonly string[]; role?: ArgumentRole }>>;
  };
  store: string | null;
  /** Doing it twice is doing it once: by the operator's word alone. */
  idempotent: boolean;
  idempotencyArgument: string | null;
  limitArgument: string | null;
  /** HTML and Markdown of its results stay as they are. */
  keepMarkup: boolean;
  hold: { items?: number; bytes?: number } | null;
}

export interface RegisteredTool {
  /** `server/tool`. */
  ref: string;
  server: string;
  name: string;
  /** Tier 4 where no operator gave one (law 2). */
  tier: Tier;
  effects: Effect[];
  resourceArgument: string | null;
  /** Only what is `approved` may be listed or called (law 8). `missing` also where a named tool was never seen. */
  state: PinnedDefinition['state'];
  digest: string | null;
  /** What the operator says of it; `unlabelled` where nothing was said. */
  labels: ToolLabels;
  /** The approved MCP tool object, as the agent sees it: without what only Gatehouse fills. */
  definition: JsonObject | null;
  /** Arguments that only Gatehouse fills, with their schemas; absent where there are none. */
  filled?: JsonObject;
}

export interface RegisteredServer {
  name: string;
  manifest: ToolServerManifest;
  tools: Map<string, RegisteredTool>;
  /** Definitions, in any state, of everything that is not a tool. */
  definitions: PinnedDefinition[];
}

/**
 * Everything that a call needs, in memory, never changed in place: a new snapshot replaces it when the feed says so.
 * INVARIANT: `fences` was read no later than the objects, so that a dispatch which finds the same versions in the database decides on
 * what the database holds.
 */
export interface Snapshot {
  readonly agents: ReadonlyMap<string, Agent>;
  readonly blueprints: ReadonlyMap<string, BlueprintManifest>;
  readonly environments: ReadonlyMap<string, EnvironmentManifest>;
  /** Those who are here, with the roles that they have now. */
  readonly people: ReadonlyMap<string, PersonManifest>;
  readonly groups: ReadonlyMap<string, GroupManifest>;
  readonly clients: ReadonlyMap<string, ClientManifest>;
  /** Everybody known, also who has left. */
  readonly directory: ReadonlyMap<string, KnownPerson>;
  readonly agentMappings: ReadonlyMap<string, AgentMappingManifest>;
  readonly roleMappings: ReadonlyMap<string, RoleMappingManifest>;
  readonly resourceServers: ReadonlyMap<string, ResourceServerManifest>;
  readonly identityProviders: ReadonlyMap<string, IdentityProviderManifest>;
  readonly controlPolicies: ReadonlyMap<string, ControlPolicyManifest>;
  readonly servers: ReadonlyMap<string, RegisteredServer>;
  readonly templates: ReadonlyMap<string, TemplateManifest>;
  readonly policies: ReadonlyMap<string, PolicyManifest>;
  readonly calendars: ReadonlyMap<string, CalendarManifest>;
  readonly onCall: ReadonlyMap<string, OnCallManifest>;
  readonly approvalRules: ReadonlyMap<string, ApprovalRuleManifest>;
  readonly ticketSystems: ReadonlyMap<string, TicketSystemManifest>;
  readonly detectors: ReadonlyMap<string, DetectorManifest>;
  readonly sinks: ReadonlyMap<string, SinkManifest>;
  readonly retention: ReadonlyMap<string, RetentionManifest>;
  readonly channels: ReadonlyMap<string, ChannelManifest>;
  readonly credentialProviders: ReadonlyMap<string, CredentialProviderManifest>;
  readonly budgets: ReadonlyMap<string, BudgetManifest>;
  readonly trustDomains: ReadonlyMap<string, TrustDomainManifest>;
  readonly trustRules: ReadonlyMap<string, TrustRuleManifest>;
  /** As declared; `workload` has what was done to one since. */
  readonly workloads: ReadonlyMap<string, WorkloadManifest>;
  readonly revokedTokens: ReadonlyMap<string, number>;
  /** `agent:NAME`, `person:EMAIL`, `tool:SERVER/NAME`, `server:NAME`, `policy`; absent means 0. */
  readonly fences: ReadonlyMap<string, number>;
}

export interface ApplyOptions {
  /** Deletes what the manifests do not name. Agents are retired instead: their history and name stay. */
  prune: boolean;
  by: string;
  /**
   * What tool servers serve now, if the caller has asked them: observed in the same transaction, so that templates and policies are
   * validated against the tools' real schemas.
   */
  served?: ReadonlyMap<string, ServedDefinition[]>;
  /** Looks at each change, in the transaction, before any is made; what it throws refuses the apply. */
  mayChange?(step: { change: PlanChange; before: Manifest | null; after: Manifest | null }): void;
  /** Looks at all changes at once, likewise. */
  consider?(changed: readonly Step[], transaction: DatabaseTransaction): Promise<void>;
  /** Objects (`Kind/name`, no agents) to delete, beside what `prune` does. */
  remove?: readonly string[];
  /** Kept with the version of the policies that this makes. */
  version?: VersionNote;
  /** Done first in the same transaction; what it throws refuses the apply. */
  first?(transaction: DatabaseTransaction): Promise<void>;
}

/** An apply that was taken back. */
export interface Rehearsal {
  steps: readonly Step[];
  /** The workspace as it would be. */
  snapshot: Snapshot;
}

export interface Registry extends PersonChanges {
  snapshot(): Snapshot;
  /** Its agents by name: the first `limit` after this one, or of all. */
  agentNames(after: string | undefined, limit: number): string[];
  /**
   * Called by the feed's listener: rebuilds what the changes touch, then swaps. With no changes it fetches what was announced since
   * the registry was made: to be called once when the feed has started.
   */
  refresh(changes: Change[]): Promise<void>;

  /** What `apply` would do and refuse, found by doing it and taking it back. */
  plan(manifests: Manifest[], options: Omit<ApplyOptions, 'by'>): Promise<PlanChange[]>;
  /** The same, with the workspace as it would be. */
  rehearse(manifests: Manifest[], options: Omit<ApplyOptions, 'by'>): Promise<Rehearsal>;
  /** Keeps the policies of now as a version, unless they are the newest: with what the database holds, or with this release. */
  keepVersion(policyVersion: string): Promise<void>;
  /**
   * All or nothing, recorded, idempotent. A manifest that refers to what does not exist is refused with its kind, name and path. A
   * manifest's keys are a minimum: keys enrolled otherwise stay. An apply moves agents forward in their life only: it never
   * reactivates one that was suspended or killed, and says so in the change's `note`.
   */
  apply(manifests: Manifest[], options: ApplyOptions): Promise<PlanChange[]>;
  /** What `apply` would need to make this workspace again. */
  exportManifests(): Promise<Manifest[]>;

  addAgentKey(agent: string, key: AgentManifest['keys'][number], by: string): Promise<Agent>;
  /** By RFC 7638 thumbprint. */
  removeAgentKey(agent: string, thumbprint: string, by: string): Promise<Agent>;
  /**
   * draft → active → suspended ⇄ active → retired; bumps the epoch. `killedAt` is set by kill and cleared by a reactivation; a kill
   * also ends the agent's tasks, and all tasks of others that it handed on. `change` is the place on the feed to wait for; null with `within`, where it is known only after
   * the commit (`feed.head()` then).
   */
  setAgentState(
    agent: string,
    state: Lifecycle,
    by: string,
    options?: { killed?: boolean },
  ): Promise<{ agent: Agent; change: number; endedTasks: number }>;
  setAgentState(
    agent: string,
    state: Lifecycle,
    by: string,
    options: { killed?: boolean; within: DatabaseTransaction },
  ): Promise<{ agent: Agent; change: null; endedTasks: number }>;

  /**
   * A key that an agent brings itself, with a proof that `within` consumes in the same transaction. Tokens made before stay good, unlike
   * after `addAgentKey`: nothing is taken away. Only an active agent enrols.
   */
  enrolAgentKey(
    agent: string,
    key: AgentManifest['keys'][number],
    enrolment: { by: string; how: string[]; within?: (transaction: DatabaseTransaction) => Promise<void> },
  ): Promise<Agent>;

  /** As the database has it now. */
  workloads(): Promise<Workload[]>;
  workload(name: string): Promise<Workload | undefined>;
  /** Throws a GatehouseError when it may do nothing. */
  activeWorkload(name: string): Promise<Workload>;
  /**
   * The same from memory, as agents are asked about: without the database. Throws `unavailable` too, when this replica has lost touch; what is
   * done on it takes the fence `workload:NAME` along.
   */
  workloadAtWork(name: string): Workload;
  setWorkloadState(
    name: string,
    state: Exclude<Lifecycle, 'draft'>,
    by: string,
    options?: { killed?: boolean; reason?: string },
  ): Promise<Workload>;

  /** Checks agent, blueprint, template and parameters; throws GatehouseError with what to do next. */
  startTask(agent: string, details: Exclude<TaskDetails, { task: string }>, grounds?: TaskGrounds): Promise<Task>;
  /** From memory, else from storage (another replica may have started it). Undefined when there is none. */
  task(id: string): Promise<Task | undefined>;
  listTasks(filter: { agent?: string; state?: Task['state']; before?: string; limit: number }): Promise<Task[]>;
  /**
   * Stops it until a person lets it go on; with a limit its agent too, when so many of its tasks were stopped. What is stopped stays so.
   */
  suspendTask(
    id: string,
    by: string,
    reason: string,
    agentLimit?: AgentLimit,
  ): Promise<{ task: Task; agentSuspended: boolean }>;
  resumeTask(id: string, by: string): Promise<Task>;
  /** Ends it and every task that was handed on from it. */
  endTask(id: string, by: string, within?: DatabaseTransaction): Promise<Task>;
  /** Part of what ends a standing delegation: every running task that rests on it, and what was handed on from those. */
  endTasks(transaction: DatabaseTransaction, of: { delegation: string }, by: string): Promise<number>;
  /** Many at once (at most `BULK_ENTRIES`): all or nothing, a record for each. */
  readonly bulk: {
    /** Gives the names that were moved; those in that state already stay. Retiring ends their tasks. */
    setAgentStates(names: readonly string[], state: Lifecycle, by: string): Promise<string[]>;
    /** `by` started them and stands in the records. A repeated `idempotencyKey` within a day starts nothing and answers the same. */
    startTasks(requests: readonly StartRequest[], by: string, idempotencyKey?: string): Promise<Task[]>;
    /** Gives the ids that this call ended. */
    endTasks(ids: readonly string[], by: string): Promise<string[]>;
  };
  revokeToken(token: RevokedToken, by: string): Promise<void>;

  /**
   * Compares what a server serves now with what is pinned. First sight of a tool that the manifest names (with no other
   * `definition` pinned there) is approved; anything new, changed, renamed or unnamed is held; anything gone is `missing`.
   * Returns what is newly held. `served` is all that the server serves, or all of the given kinds.
   */
  observeDefinitions(
    server: string,
    served: ServedDefinition[],
    by: string,
    options?: { kinds?: DefinitionKind[] },
  ): Promise<PinnedDefinition[]>;
  listDefinitions(filter: { server?: string; state?: PinnedDefinition['state'] }): Promise<PinnedDefinition[]>;
  /** `expectedDigest` is what the reviewer saw; if the server has changed again meanwhile this is a conflict. */
  reviewDefinition(
    of: { server: string; kind: DefinitionKind; name: string },
    decision: 'approve' | 'reject',
    expectedDigest: string,
    by: string,
  ): Promise<PinnedDefinition>;
}
