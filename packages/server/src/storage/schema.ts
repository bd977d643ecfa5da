import type { Generated } from 'kysely';

/** Every kind of key that the house signs with. The key inventory has each (a test compares), but for what waits to be signed. */
export const signingKeyPurposes = [
  'access-token',
  'x509-root',
  'x509-intermediate',
  'x509-request',
  'jwt-svid',
  'identity-provider-client',
  'log',
] as const;
export type SigningKeyPurpose = (typeof signingKeyPurposes)[number];

/**
 * Every stored table. One schema for both dialects: `text`, `bigint` (read as number), `bytea`/`blob` (read as Uint8Array);
 * JSON is canonical text. All times are milliseconds since the epoch.
 */
export interface Tables {
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

  /**
   * What was seen: by a task (`task/ID`), by any task of an agent (`agent/NAME`), or by what wrote to a store
   * (`store/ENVIRONMENT/SERVER/NAME`), with the result that brought the label first. `at` of an agent's is the last time.
   */
  flow_labels: { holder: string; label: string; tool: string; action_id: string; task: string; at: number };

  /**
   * Values that a person has endorsed for the rest of a task; `value` as it is compared, `shown` and `covers` (for calls of which
   * kind) as they were signed.
   */
  flow_endorsements: {
    id: string;
    task: string;
    role: string;
    value: string;
    shown: string;
    covers: string;
    approval: string;
    person: string;
    at: number;
  };

  /** Versions that a dispatch must still find as it decided on them: `agent:NAME`, `task:ID`, `tool:SERVER/NAME`, `policy`, `flow:HOLDER`. */
  fences: { key: string; version: number };

  /** The change feed: appended in the transaction that changes anything the hot path caches. */
  changes: { sequence: Generated<number>; topic: string; key: string; at: number };

  /** Replicas and how far each has applied the feed. One whose lease has run out denies everything. */
  replicas: { id: string; acknowledged: number; lease_until: number; started_at: number };

  approvals: {
    id: string;
    action_id: string;
    state: string;
    digest: string;
    agent: string;
    task: string;
    /** The rest of `Approval`, as JSON. */
    body: string;
    created_at: number;
    expires_at: number;
    decided_at: number | null;
    decided_by: string | null;
    reason: string | null;
    /** The WebAuthn assertion that approved, as JSON; verifiable offline with the passkey's public key. */
    assertion: string | null;
    consumed_by: string | null;
  };

  logs: { id: string; replica: string; vkey: string; created_at: number };

  records: {
    log: string;
    sequence: number;
    leaf_hash: Uint8Array;
    kind: string;
    action_id: string;
    at: number;
    operation: string;
    agent: string | null;
    task: string | null;
    person: string | null;
    tool: string | null;
    resource: string | null;
    effect: string | null;
    result: string | null;
    approval: string | null;
    ticket: string | null;
    /** The hashed text. */
    entry: string;
  };

  /** Bodies beside the records, erasable. The digest in the record is over salt and canonical text. */
  bodies: {
    action_id: string;
    kind: string;
    salt: Uint8Array;
    body: string | null;
    created_at: number;
    erased_at: number | null;
  };

  /** Full and partial tiles of the Merkle trees (C2SP tlog-tiles): hashes of 32 bytes each. */
  tiles: { log: string; level: number; tile: number; width: number; hashes: Uint8Array };
  checkpoints: { log: string; size: number; note: string; at: number };

  passkeys: {
    id: string;
    person: string;
    public_key: Uint8Array;
    counter: number;
    transports: string;
    name: string;
    created_at: number;
    last_used_at: number | null;
    /** Who made the link that it was enrolled by, where that matters: `person:EMAIL`, or `operator` on the server's host. */
    made_by: string | null;
    /** `person:EMAIL` who has seen whose it is. */
    confirmed_by: string | null;
  };
  /** Who decided about proposals and was about to lose that. Never deleted: one row a person. */
  former_deciders: { person: string; until: number };
  people_sessions: {
    id_digest: string;
    person: string;
    created_at: number;
    expires_at: number;
    last_seen_at: number;
    user_agent: string;
    via: string;
    /** 1: of a terminal. */
    restricted: number;
    dpop_jkt: string | null;
    /** Name of the identity provider that vouched, its subject and its own session. */
    provider: string | null;
    provider_subject: string | null;
    provider_session: string | null;
    /** Of `link` and `recovery`: who made the link. */
    made_by: string | null;
  };
  /** Who somebody is at an identity provider: once linked, an address that changes there links nobody else. */
  person_identities: {
    issuer: string;
    subject: string;
    person: string;
    provider: string;
    linked_at: number;
    last_used_at: number;
    /** The last sign-in there; null: it has logged them out since, or takes them for nobody now. */
    signed_in_at: number | null;
    /** `sid` of that sign-in. */
    provider_session: string | null;
  };
  /** Sign-ins under way at an identity provider; each is used once. */
  provider_sign_ins: {
    state_digest: string;
    provider: string;
    /** Of the cookie that binds it to one browser. */
    browser_digest: string;
    nonce: string;
    /** PKCE verifier, sealed. */
    sealed_verifier: Uint8Array;
    next: string;
    expires_at: number;
  };

  /** Bearers of directories; the token itself is nowhere. */
  scim_tokens: {
    id: string;
    name: string;
    token_digest: string;
    created_at: number;
    created_by: string;
    last_used_at: number | null;
    expires_at: number | null;
  };
  /** What a directory says of a person; `objects` has what follows from it. */
  scim_users: {
    id: string;
    /** Lower-case; the `userName` as given stands in the body. */
    user_name: string;
    email: string;
    external_id: string | null;
    active: number;
    body: string;
    version: number;
    created_at: number;
    updated_at: number;
  };
  scim_groups: {
    id: string;
    display_name: string;
    external_id: string | null;
    version: number;
    created_at: number;
    updated_at: number;
  };
  scim_members: { group_id: string; user_id: string };
  scim_agents: {
    id: string;
    name: string;
    external_id: string | null;
    /** 1: the directory has deactivated it, and may bring it back. */
    suspended: number;
    body: string;
    version: number;
    created_at: number;
    updated_at: number;
  };
  signin_links: {
    token_digest: string;
    person: string;
    expires_at: number;
    used_at: number | null;
    made_by: string | null;
  };
  /** Requests of sessions of the command line that wait for their person, or for being repeated. `state`: `open`, `confirmed`, `refused`, `used`. */
  confirmations: {
    id: string;
    /** Goes with the row, so that the digest, which is on record, tells nothing of a body that could be guessed. */
    salt: string;
    session: string;
    person: string;
    digest: string;
    /** ConfirmationShown. */
    shown: string;
    state: string;
    created_at: number;
    expires_at: number;
  };
  /** Every state of what decides; `policy_objects` has what it was made of. `changes`: lines, as JSON. */
  policy_versions: {
    number: number;
    policy_version: string;
    at: number;
    by: string;
    approved_by: string | null;
    proposal: number | null;
    rollback_to: number | null;
    note: string;
    changes: string;
  };
  /** The part of a manifest that decides, from one version until before another; null: until now. */
  policy_objects: { kind: string; name: string; from_version: number; to_version: number | null; body: string };
  /** Changes that wait for a second person, and those that did. `change`: manifests to apply; `shown`: what they do, both as JSON. */
  policy_proposals: {
    number: number;
    state: string;
    author: string;
    note: string;
    /** Version that it was made against. */
    base: number;
    change: string;
    shown: string;
    digest: string;
    created_at: number;
    expires_at: number;
    decided_at: number | null;
    decided_by: string | null;
    reason: string | null;
    /** The WebAuthn assertion that shipped it, as JSON. */
    assertion: string | null;
    /** Of what the host's token has proposed: `person:EMAIL` of the first of two yeses, and its assertion. */
    agreed_by: string | null;
    agreed_assertion: string | null;
    /** ReplayResult, once there is one. */
    replay: string | null;
  };
  webauthn_challenges: {
    id: string;
    person: string;
    purpose: string;
    challenge: string;
    expires_at: number;
    /** Network that asked for a sign-in; empty for other purposes. */
    source: string;
  };

  /** Signing keys; the private part is sealed by the key-encryption key. */
  signing_keys: {
    kid: string;
    purpose: SigningKeyPurpose;
    algorithm: string;
    public_jwk: string;
    sealed_private: Uint8Array;
    state: string;
    created_at: number;
  };
  /** Key-encryption keys by id; `wrapped` by the service that keeps them, null where `source` gives the key itself. */
  key_encryption_keys: {
    id: string;
    source: string;
    wrapped: string | null;
    /** `current`, `held`, `retiring` or `retired`. */
    state: string;
    created_at: number;
  };
  /** The last good bundle of each trust domain that is federated with (SPIFFE Federation, https_web). */
  foreign_bundles: {
    trust_domain: string;
    /** Where it came from: another address begins anew. */
    url: string;
    document: string | null;
    sequence: number | null;
    refresh_hint_seconds: number;
    fetched_at: number | null;
    tried_at: number;
    problem: string | null;
  };
  /** Named secrets for upstreams, sealed with the origins that they may be sent to; `origins` (JSON) only shows them. */
  secrets: { name: string; sealed: Uint8Array; origins: string; updated_at: number };

  /** What an operator's consent gave for a tool server: tokens, client and key are sealed. */
  upstream_grants: {
    /** `ENVIRONMENT/SERVER`. */
    id: string;
    server: string;
    /** Digest of the transport that it was given for: another address or authorization server gets nothing of it. */
    binding: string;
    issuer: string;
    resource: string;
    client_id: string;
    /** Separated by spaces. */
    scopes: string;
    bound: number;
    renewable: number;
    sealed: Uint8Array;
    /** Bumped by each renewal. */
    version: number;
    /** One replica renews at a time. */
    renewing_until: number;
    expires_at: number | null;
    connected_by: string;
    connected_at: number;
  };
  /** What a server asked for that only a person can give; JSON. */
  upstream_demands: { id: string; server: string; sealed: Uint8Array; at: number };
  /** Gatehouse as a client that registered itself with an authorization server (RFC 7591). */
  upstream_clients: {
    /** `ENVIRONMENT/SERVER/ISSUER`. */
    id: string;
    server: string;
    sealed: Uint8Array;
    created_at: number;
  };
  /** Authorization requests that wait for a browser to come back. */
  upstream_connects: { state_digest: string; sealed: Uint8Array; expires_at: number };
  /** Results that wait for a person. `labels` is a JSON list. */
  held_results: {
    id: string;
    call_digest: string;
    approval: string | null;
    agent: string;
    task: string;
    action_id: string;
    tool: string;
    reason: string;
    digest: string;
    bytes: number;
    items: number;
    labels: string;
    sealed: Uint8Array;
    created_at: number;
    expires_at: number;
  };
  /** What is used of budgets: one row for each thing that a budget counts for. `state` is a CounterState, `used` in thousandths of the limit. */
  budget_counters: {
    id: string;
    budget: string;
    label: string;
    state: string;
    used: number;
    updated_at: number;
    expires_at: number;
  };
  /** What calls that run have counted, so that it can be given back once. */
  budget_spends: {
    action_id: string;
    counter: string;
    bucket: number;
    count: number;
    items: number;
    sum: number;
    expires_at: number;
  };
  /** What agents usually do: a Profile each, without a tool for all of it; `unusual` is what was left out of it. */
  baselines: { agent: string; tool: string; usual: string; unusual: string | null; updated_at: number };
  /** Answers to requests that may be sent again. */
  idempotency_keys: { key: string; caller: string; digest: string; answer: string; expires_at: number };
  /** Key sets of outside issuers as last fetched, so that a restart during an issuer's outage is survived. */
  issuer_keys: { id: string; issuer: string; jwks: string; fetched_at: number };
  trust_rule_uses: { rule: string; used_at: number; uses: number };
  /** Outside tokens that were taken, by a digest of issuer and `jti`; with the thumbprint of the key that they were first presented with. */
  outside_tokens: { id: string; used_with: string; expires_at: number };
  /** One-time tokens with which an agent enrols its first key. `addresses` is a JSON list. */
  join_tokens: {
    id: string;
    token_digest: string;
    agent: string;
    addresses: string;
    created_by: string;
    created_at: number;
    expires_at: number;
    used_at: number | null;
  };
  /** What was done to a workload beyond its manifest; an apply does not undo it. */
  workload_lives: { name: string; state: string; epoch: number; killed_at: number | null };
  revoked_tokens: { token_id: string; expires_at: number };
  /** oidc-provider's artifacts and one-time identifiers (assertion and proof ids). */
  oauth_artifacts: {
    model: string;
    id: string;
    payload: string;
    expires_at: number | null;
    consumed_at: number | null;
    uid: string | null;
    grant_id: string | null;
    user_code: string | null;
  };
}
