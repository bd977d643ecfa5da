import type { Generated } from 'kysely';

/** What is registered, and the change feed. */
export interface RegistryTables {
  meta: { key: string; value: string };

  /** Declared objects other than agents: Environment, Person, Blueprint, ToolServer, Template, Policy. */
  objects: { kind: string; name: string; body: string; updated_at: number };

  agents: {
    name: string;
    environment: string;
    owner: string;
    blueprint: string;
    state: string;
    /** Bumped by kill, suspend and every change of keys or state; tokens and dispatches carry the epoch they were decided at. */
    epoch: number;
    killed_at: number | null;
    /** AgentManifest. */
    body: string;
    updated_at: number;
  };

  /** Who has which registered key (RFC 7638 thumbprint): a key belongs to one agent, on whichever replicas two would take it at once. */
  agent_keys: { thumbprint: string; agent: string };

  /** One pinned definition per tool, prompt, resource template and instructions text of a server. */
  definitions: {
    server: string;
    kind: string;
    name: string;
    /** `approved`, `held` (new or changed, waits for review) or `missing` (approved, but no longer served). */
    state: string;
    approved_digest: string | null;
    approved_body: string | null;
    served_digest: string | null;
    served_body: string | null;
    reviewed_by: string | null;
    reviewed_at: number | null;
    seen_at: number;
  };

  tasks: {
    id: string;
    agent: string;
    environment: string;
    template: string;
    parameters: string;
    intent: string;
    on_behalf_of: string | null;
    requested_by: string | null;
    ticket: string | null;
    change_request: string | null;
    model_provider: string | null;
    model: string | null;
    state: string;
    started_at: number;
    expires_at: number;
    ended_at: number | null;
    /** Verified, unlike `on_behalf_of`. */
    user_email: string | null;
    delegation: string | null;
    parent: string | null;
    /** Actor[] and narrowing of `Task`, as JSON. */
    actors: string;
    narrowing: string | null;
    vouched_by: string | null;
    /** Suspension of `Task`, as JSON, and its time. */
    suspended: string | null;
    suspended_at: number | null;
    /** Version of the fence `task:ID` while it is active. */
    fence: number;
  };

  /** Tasks of other agents that have an agent in their actor chain: they end with it. */
  task_actors: { agent: string; task: string };

  /** Standing delegations. `parameters` and `tools` are JSON. */
  delegations: {
    id: string;
    user_email: string;
    agent: string;
    template: string;
    parameters: string;
    tools: string | null;
    max_tasks_per_day: number | null;
    created_at: number;
    via: string;
    expires_at: number;
    review_due_at: number;
    reviewed_at: number | null;
    revoked_at: number | null;
    revoked_by: string | null;
    used: number;
    last_used_at: number | null;
    task_ttl_seconds: number | null;
  };

  /** Versions that a dispatch must still find as it decided on them: `agent:NAME`, `task:ID`, `tool:SERVER/NAME`, `policy`, `flow:HOLDER`, `waiting:ID`. */
  fences: { key: string; version: number };

  /** The change feed: appended in the transaction that changes anything the hot path caches. */
  changes: { sequence: Generated<number>; topic: string; key: string; at: number };

  /** Replicas and how far each has applied the feed. One whose lease has run out denies everything. */
  replicas: { id: string; acknowledged: number; lease_until: number; started_at: number };

  /** Answers to requests that may be sent again. */
  idempotency_keys: { key: string; caller: string; digest: string; answer: string; expires_at: number };
}
