import type {
  AgentManifest,
  BlueprintManifest,
  Effect,
  EnvironmentManifest,
  Lifecycle,
  Manifest,
  PersonManifest,
  PlanChange,
  PolicyManifest,
  Task,
  TaskDetails,
  TemplateManifest,
  Tier,
  ToolServerManifest,
} from '@gatehouse/protocol';
import type { Json, JsonObject } from '../platform/index.ts';
import type { Change, DatabaseTransaction } from '../storage/index.ts';

export interface Agent {
  manifest: AgentManifest;
  name: string;
  spiffeId: string;
  state: Lifecycle;
  epoch: number;
  killedAt: number | null;
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
  reviewedBy: string | null;
  reviewedAt: number | null;
  seenAt: number;
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
  /** Only what is `approved` may be listed or called (law 8). */
  state: PinnedDefinition['state'];
  digest: string | null;
  /** The approved MCP tool object, as the agent sees it. */
  definition: JsonObject | null;
}

export interface RegisteredServer {
  name: string;
  manifest: ToolServerManifest;
  tools: Map<string, RegisteredTool>;
  /** Approved and held definitions of everything that is not a tool. */
  definitions: PinnedDefinition[];
}

/**
 * Everything that a call needs, in memory, never changed in place: a new snapshot replaces it when the feed says so.
 * INVARIANT: `fences` was read in the same transaction as the objects, so that a dispatch which finds the same versions in the
 * database decides on what the database holds.
 */
export interface Snapshot {
  readonly agents: ReadonlyMap<string, Agent>;
  readonly blueprints: ReadonlyMap<string, BlueprintManifest>;
  readonly environments: ReadonlyMap<string, EnvironmentManifest>;
  readonly people: ReadonlyMap<string, PersonManifest>;
  readonly servers: ReadonlyMap<string, RegisteredServer>;
  readonly templates: ReadonlyMap<string, TemplateManifest>;
  readonly policies: ReadonlyMap<string, PolicyManifest>;
  readonly revokedTokens: ReadonlyMap<string, number>;
  /** `agent:NAME`, `tool:SERVER/NAME`, `server:NAME`, `policy`; absent means 0. */
  readonly fences: ReadonlyMap<string, number>;
}

export interface Registry {
  snapshot(): Snapshot;
  /** Called by the feed's listener: rebuilds what the changes touch, then swaps. */
  refresh(changes: Change[]): Promise<void>;

  plan(manifests: Manifest[], options: { prune: boolean }): Promise<PlanChange[]>;
  /** All or nothing, recorded, idempotent. A manifest that refers to what does not exist is refused with its kind, name and path. */
  apply(manifests: Manifest[], options: { prune: boolean; by: string }): Promise<PlanChange[]>;
  /** What `apply` would need to make this workspace again. */
  exportManifests(): Promise<Manifest[]>;

  addAgentKey(agent: string, key: AgentManifest['keys'][number], by: string): Promise<Agent>;
  removeAgentKey(agent: string, thumbprint: string, by: string): Promise<Agent>;
  /** draft → active → suspended ⇄ active → retired; bumps the epoch. `killedAt` is set by kill and cleared by a reactivation. */
  setAgentState(
    agent: string,
    state: Lifecycle,
    by: string,
    options?: { killed?: boolean; within?: DatabaseTransaction },
  ): Promise<{ agent: Agent; change: number }>;

  /** Checks agent, blueprint, template and parameters; throws GatehouseError with what to do next. */
  startTask(agent: string, details: Exclude<TaskDetails, { task: string }>): Promise<Task>;
  /** From memory, else from storage (another replica may have started it). Undefined when there is none. */
  task(id: string): Promise<Task | undefined>;
  listTasks(filter: { agent?: string; state?: Task['state']; before?: string; limit: number }): Promise<Task[]>;
  endTask(id: string, by: string): Promise<Task>;
  revokeToken(tokenId: string, expiresAt: number, by: string): Promise<void>;

  /**
   * Compares what a server serves now with what is pinned. First sight of a tool that the manifest names (with no other
   * `definition` pinned there) is approved; anything new, changed, renamed or unnamed is held; anything gone is `missing`.
   * Returns what is newly held.
   */
  observeDefinitions(server: string, served: ServedDefinition[], by: string): Promise<PinnedDefinition[]>;
  listDefinitions(filter: { server?: string; state?: PinnedDefinition['state'] }): Promise<PinnedDefinition[]>;
  /** `expectedDigest` is what the reviewer saw; if the server has changed again meanwhile this is a conflict. */
  reviewDefinition(
    of: { server: string; kind: DefinitionKind; name: string },
    decision: 'approve' | 'reject',
    expectedDigest: string,
    by: string,
  ): Promise<PinnedDefinition>;
}
