import { z } from 'zod';
import type { AccountsApi } from './accounts.ts';
import type { AgentIdentityApi } from './agent-identity.ts';
import type { ApprovalReviewApi } from './approval-review.ts';
import { type Approval, endorsedValue } from './approvals.ts';
import type { BackupApi } from './backup.ts';
import type { BaselineApi } from './baseline.ts';
import type { BreakGlassApi } from './break-glass.ts';
import type { BudgetDetail, BudgetView } from './budgets.ts';
import type { BulkApi } from './bulk.ts';
import type { ChannelsApi } from './channels.ts';
import type { ConfirmationRoutes } from './confirmations.ts';
import type { ConsentRoutes } from './consents.ts';
import type { DelegationsApi } from './delegations.ts';
import type { DecidersApi } from './deputies.ts';
import type { EndedCredentials } from './ended-credentials.ts';
import { type EvidenceApi, makeEvidence } from './evidence.ts';
import type { FederationApi } from './federation.ts';
import type { TaskFlow } from './flow.ts';
import type { HeldResult } from './held-results.ts';
import type { KeepingApi } from './keeping.ts';
import type { KeyApi } from './keys.ts';
import type { LeasesApi } from './leases.ts';
import {
  type AgentManifest,
  manifest,
  type PlanChange,
  type PlanWarning,
  publicJwk,
  type Role,
  type TemplateManifest,
  type ToolServerManifest,
} from './manifests/index.ts';
import { type Effect, type Lifecycle, lifecycle, name, type Tier } from './names.ts';
import type { PeopleApi, SessionSummaryView } from './people.ts';
import type { PolicyApi } from './policies.ts';
import type { PushApi } from './push.ts';
import type { RecordExportApi } from './record-export.ts';
import { recordFilter } from './record-filter.ts';
import type { ActionSummary, SequencedRecord } from './records.ts';
import type { ProposedChange, RehearsalApi } from './rehearsal.ts';
import type { RetentionApi } from './retention.ts';
import type { SecondYesApi } from './second-yes.ts';
import type { SinkApi } from './sinks.ts';
import { type GrantTerms, grantRequest, grantTerms, type StandingGrant } from './standing-grants.ts';
import type { Task } from './tasks.ts';
import type { TraceApi } from './trace.ts';
import type { TrustDomainApi } from './trust-domain.ts';
import { resolution, type UnknownAction } from './unknown-actions.ts';
import type { UpstreamAuthorizationApi, UpstreamAuthorizationView } from './upstream-authorization.ts';

/**
 * The control API, `/api/v1`: one entry per route. Server, CLI and console share it, and OpenAPI is generated from it. Errors are
 * RFC 9457 problem details. Lists take `limit` (1–200, default 50) and the `cursor` of the page before.
 */

export const paging = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(1_000).optional(),
});

/** Who is signed in. `enrolled` false: only a passkey can be enrolled until there is one. `operator`: the local token of the server's host, for the CLI; it can never approve. */
export interface SessionView {
  person: { email: string; displayName: string; roles: Role[] };
  enrolled: boolean;
  via: 'browser' | 'command-line' | 'operator' | 'mail';
  /** Of `mail`: the only approval that it may look at. */
  approval?: string;
  /** Absent for the operator. */
  session?: {
    id: string;
    createdAt: number;
    /** It also ends before that when it is not used, unless it is one of the command line. */
    expiresAt: number;
    /** Identity provider that vouched for who opened it; null: a passkey did. */
    provider: string | null;
  };
}

export interface AgentView {
  name: string;
  spiffeId: string;
  state: Lifecycle;
  killedAt: number | null;
  epoch: number;
  manifest: AgentManifest;
  activeTasks: number;
  pendingApprovals: number;
}

/** What `kill` did, and what it could not reach. */
export interface KillResult {
  agent: string;
  /** Replicas that have confirmed, and those whose feed lease ran out (they deny everything by themselves). */
  acknowledged: string[];
  expired: string[];
  cancelledApprovals: number;
  endedTasks: number;
  /** Milliseconds from request to the last acknowledgement. */
  tookMs: number;
  /** Just-in-time credentials that ended with it, and those of them of which it is not yet verified that they are gone. */
  endedLeases: number;
  openLeases: number;
  /**
   * Seconds that a credential already handed out, or what was opened with it, may still work; 0 when there is none, null when it works until its
   * provider is back.
   */
  residualSeconds: number | null;
}

export interface ToolView {
  ref: string;
  server: string;
  name: string;
  tier: Tier;
  effects: Effect[];
  domain: string | null;
  state: 'approved' | 'held' | 'missing';
  description: string | null;
  digest: string | null;
}

export interface DefinitionView {
  server: string;
  kind: 'tool' | 'prompt' | 'resource-template' | 'resource' | 'instructions';
  name: string;
  state: 'approved' | 'held' | 'missing';
  approved: { digest: string; body: unknown } | null;
  served: { digest: string; body: unknown } | null;
  reviewedBy: string | null;
  reviewedAt: number | null;
  seenAt: number;
  /** Why it is held, in words for the reviewer; null when it is not. */
  reason: string | null;
}

export interface ServerView {
  name: string;
  manifest: ToolServerManifest;
  tools: number;
  held: number;
  /** One per environment; empty for a server that wants no authorization of Gatehouse. */
  authorization: UpstreamAuthorizationView[];
}

export interface ActionView {
  summary: ActionSummary;
  records: SequencedRecord[];
  arguments: unknown;
  approval: Approval | null;
}

export interface Receipt {
  log: string;
  sequence: number;
  /** The hashed text, the `.tlog-proof`, and the key to check it with. */
  entry: string;
  proof: string;
  vkey: string;
}

export interface StatusView {
  version: string;
  replica: string;
  database: 'sqlite' | 'postgres';
  startedAt: number;
  publicUrl: string;
  mcpUrl: string;
  /** False while this replica has lost touch with the database: then it denies everything. */
  fresh: boolean;
  /**
   * What does not work just now, since when, and when it failed last; `problem` is for the people of the house only. `changes`: others’
   * changes can’t be followed; `records`: nothing can be recorded. Either way everything is denied.
   */
  troubles: { what: 'changes' | 'records'; since: number; at: number; problem: string | null }[];
  /** The verdict on all of it; a stranger is told what a load balancer needs. */
  health: HealthView;
  inFlight: number;
  dataDir: string | null;
  /** Credentials that could not be ended for long, and since when; for the people of the house only. */
  stuck: { provider: string; count: number; since: number }[] | null;
  /** Accounts that are to end, and could not be revoked at the other system yet; for the people of the house only. */
  unrevoked: { provider: string; count: number }[] | null;
  /** Sinks that do not get everything now, with why; for the people of the house only. */
  sinks: { name: string; state: 'behind' | 'failing' | 'paused'; problem: string | null }[] | null;
  /** Secrets of which a new one is due, by name (`PROVIDER/PART` of one that is kept elsewhere); for the people of the house only. */
  secretsDue: string[] | null;
  /** How this replica's record stands; for the people of the house only. */
  record: { problem: string | null; witnessing: WitnessingView | null; publishing: PublishingView | null } | null;
}

/** `denying`: no call passes. `ailing`: calls pass, and something needs somebody. */
export interface HealthView {
  state: 'well' | 'ailing' | 'denying';
  problems: {
    what: 'database' | 'record' | 'witnesses' | 'publishing' | 'credentials' | 'accounts' | 'sinks';
    words: string;
    /** Of the console, where it is seen to. */
    page: string;
  }[];
}

/** One Merkle log; each replica has its own. `checkpoint`: the signed note, with the cosignatures that it has. */
export interface LogView {
  id: string;
  vkey: string;
  size: number;
  checkpoint: string | null;
  /** The newest checkpoint that enough witnesses have cosigned. */
  cosigned: { size: number; at: number } | null;
}

/** How the log of the replica that answers is witnessed. Times in milliseconds since the epoch. */
export interface WitnessingView {
  /** In words: `2 of A, B, C`. */
  quorum: string;
  /** Null: calls go on while nothing is cosigned. */
  failClosedAfterSeconds: number | null;
  cosigned: { size: number; at: number } | null;
  /** Since when there are records that are not cosigned. */
  uncosignedSince: number | null;
  /** True while calls are refused for that. */
  refuses: boolean;
  witnesses: {
    name: string;
    key: string;
    url: string | null;
    size: number;
    at: number | null;
    problem: string | null;
  }[];
}

/** How the log of the replica that answers is published. */
export interface PublishingView {
  place: string;
  /** Records that can be read there. */
  size: number;
  at: number | null;
  problem: string | null;
}

export interface Page<T> {
  items: T[];
  cursor: string | null;
}

/** One event of `GET /events` (text/event-stream; the event's name is `type`). */
export type LiveEvent =
  | { type: 'record'; record: SequencedRecord }
  | { type: 'approval'; approval: Approval }
  | { type: 'agent'; agent: AgentView };

export const actionQuery = paging.extend(recordFilter.shape);

const webauthnJson = z.record(z.string(), z.unknown());

/** Request bodies. */
export const bodies = {
  signInLink: z.strictObject({ token: z.string().max(200) }),
  look: z.strictObject({ digest: z.string().max(200) }),
  mailSignIn: z.strictObject({ token: z.string().max(200), approval: z.string().max(200) }),
  passkeySignIn: z.strictObject({ assertion: webauthnJson }),
  passkeyEnrol: z.strictObject({ name: z.string().min(1).max(100), attestation: webauthnJson }),
  renamePasskey: z.strictObject({ name: z.string().min(1).max(100) }),
  createSignInLink: z.strictObject({ email: z.email(), recovery: z.boolean().default(false) }),
  kill: z.strictObject({ reason: z.string().max(500).default('') }),
  setState: z.strictObject({ state: lifecycle, reason: z.string().max(500).default('') }),
  addKey: z.strictObject({ key: publicJwk }),
  suspendTask: z.strictObject({ reason: z.string().min(1).max(500) }),
  apply: z.strictObject({
    manifests: z.array(manifest).max(10_000),
    prune: z.boolean().default(false),
    /** Why, for whoever reads the versions of the policies later. */
    note: z.string().max(1_000).default(''),
  }),
  review: z.strictObject({
    server: name,
    kind: z.enum(['tool', 'prompt', 'resource-template', 'resource', 'instructions']),
    name: z.string().max(2_000),
    decision: z.enum(['approve', 'reject']),
    digest: z.string().max(100),
  }),
  /** `endorse`: values among `origins[].held` that count as approved in later calls of the task, too. Signed with the approval. */
  approvalOptions: z.strictObject({
    endorse: z.array(endorsedValue).max(20).default([]),
    /** More calls like it, where policy lets them be granted. */
    grant: grantRequest.optional(),
  }),
  /** `grant`: as the options gave it, which is what is signed. */
  approve: z.strictObject({
    assertion: webauthnJson,
    endorse: z.array(endorsedValue).max(20).default([]),
    grant: grantTerms.optional(),
  }),
  revokeGrant: z.strictObject({ reason: z.string().max(500).default('') }),
  deny: z.strictObject({
    reason: z.string().max(500).default(''),
    /** Also stops what asked: its task until a person lets it go on, or the agent. */
    suspend: z.enum(['task', 'agent']).optional(),
  }),
  resolve: resolution,
  makeEvidence,
  verifyLog: z.strictObject({
    log: z.string().max(300).optional(),
    /** Signed notes that were kept elsewhere: the logs must still hold what these commit to. */
    checkpoints: z.array(z.string().max(16_384)).max(64).optional(),
  }),
} as const;

/** Responses by route, for typed clients. `:x` are path parameters. */
export interface Api
  extends AgentIdentityApi,
    ApprovalReviewApi,
    BaselineApi,
    DelegationsApi,
    DecidersApi,
    EvidenceApi,
    BulkApi,
    ChannelsApi,
    AccountsApi,
    LeasesApi,
    PeopleApi,
    PolicyApi,
    PushApi,
    TraceApi,
    RecordExportApi,
    KeepingApi,
    TrustDomainApi,
    UpstreamAuthorizationApi,
    ConfirmationRoutes,
    ConsentRoutes,
    KeyApi,
    FederationApi,
    BackupApi,
    BreakGlassApi,
    RehearsalApi,
    SecondYesApi,
    SinkApi,
    RetentionApi {
  'GET /status': StatusView;
  'GET /session': SessionView;
  /** A person with passkeys is led on to them; the link alone opens nothing. */
  'POST /signin/link': { next: 'enrol'; session: SessionView } | { next: 'passkey'; email: string };
  'POST /signin/mail': SessionView;
  'POST /signin/passkey/options': { options: unknown };
  'POST /signin/passkey': SessionView;
  'POST /signout': { ok: true };
  'GET /passkeys': { items: { id: string; name: string; createdAt: number; lastUsedAt: number | null }[] };
  'POST /passkeys/options': { options: unknown };
  'POST /passkeys': SessionView;
  'PATCH /passkeys/:id': { ok: true };
  'DELETE /passkeys/:id': { ok: true };
  'GET /sessions': { items: SessionSummaryView[] };
  'DELETE /sessions/:id': { ok: true };
  'POST /people/signin-links': { url: string; expiresAt: number };
  'GET /agents': Page<AgentView>;
  'GET /agents/:name': AgentView;
  'POST /agents/:name/kill': KillResult;
  'POST /agents/:name/state': AgentView;
  'POST /agents/:name/keys': AgentView;
  'DELETE /agents/:name/keys/:thumbprint': AgentView;
  'GET /tasks': Page<Task>;
  'GET /tasks/:id': Task;
  'GET /tasks/:id/flow': TaskFlow;
  'POST /tasks/:id/suspend': Task;
  'POST /tasks/:id/resume': Task;
  'POST /tasks/:id/end': Task;
  'GET /servers': { items: ServerView[] };
  'GET /tools': { items: ToolView[] };
  'POST /servers/:name/refresh': { held: DefinitionView[] };
  'GET /definitions': { items: DefinitionView[] };
  'POST /definitions/review': DefinitionView;
  'GET /templates': { items: TemplateManifest[] };
  'POST /plan': { changes: PlanChange[]; ends: EndedCredentials; warnings: PlanWarning[] };
  'POST /apply': {
    changes: PlanChange[];
    problems: { server: string; problem: string }[];
    warnings: PlanWarning[];
    /** What had been issued by a permission that this withdraws, as far as it is judged by now. */
    ended?: EndedCredentials;
    /** Nothing was applied yet: the change waits for a second person. */
    proposed?: ProposedChange;
  };
  'GET /export': { manifests: unknown[] };
  'GET /budgets': Page<BudgetView>;
  'GET /budgets/:name': BudgetDetail;
  'GET /approvals': Page<Approval>;
  'GET /approvals/:id': Approval;
  /** `grant`: what more is signed, with its times; null where nothing more was asked for. */
  'POST /approvals/:id/options': { options: unknown; grant: GrantTerms | null };
  'POST /approvals/:id/approve': Approval;
  'POST /approvals/:id/deny': Approval;
  'GET /grants': Page<StandingGrant>;
  'GET /grants/:id': StandingGrant;
  'POST /grants/:id/revoke': StandingGrant;
  'GET /results': Page<HeldResult>;
  'GET /results/:id': HeldResult;
  'POST /results/:id/discard': Approval;
  'GET /actions': Page<ActionSummary>;
  'GET /actions/:id': ActionView;
  'GET /actions/:id/enrolments': { items: Receipt[] };
  'POST /actions/:id/resolve': ActionSummary;
  'GET /unknown-actions': Page<UnknownAction>;
  'GET /records': Page<SequencedRecord>;
  'GET /records/:log/:sequence/receipt': Receipt;
  'GET /logs': {
    items: LogView[];
    witnessing: WitnessingView | null;
    publishing: PublishingView | null;
    problem: string | null;
  };
  /** `removed`: how many records have no content any more because retention has removed it. */
  'POST /logs/verify': { ok: boolean; size: number; problem: string | null; removed: number };
}
