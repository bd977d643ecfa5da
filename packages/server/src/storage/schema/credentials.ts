/** Every kind of key that the house signs with. The key inventory has each (a test compares), but for what waits to be signed. */
export const signingKeyPurposes = [
  'access-token',
  'x509-root',
  'x509-intermediate',
  'x509-request',
  'x509-clouds',
  'jwt-svid',
  'identity-provider-client',
  'identity-token',
  'signed-token',
  'log',
  'push',
  'ssh-ca',
] as const;
export type SigningKeyPurpose = (typeof signingKeyPurposes)[number];

/** Keys, tokens and secrets. */
export interface CredentialsTables {
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
  secrets: {
    name: string;
    sealed: Uint8Array;
    origins: string;
    updated_at: number;
    owner: string | null;
    rotate_days: number | null;
  };

  /** When secrets were used last, also those that are kept elsewhere, and since when these are what they are. */
  secret_uses: { id: string; last_used_at: number; changed_at: number | null };

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

  /** Accounts at other systems that people have let an agent use. Times are milliseconds. */
  accounts: {
    id: string;
    provider: string;
    agent: string;
    user_email: string;
    /** Sorted, separated by spaces. */
    scopes: string;
    issuer: string;
    /** `connected`, `broken` or `ending`. */
    state: string;
    problem: string | null;
    /** What renews the access, and what it was granted for: the row's own names are in its seal. */
    sealed: Uint8Array;
    /** Bumped by each renewal. */
    version: number;
    /** One replica renews at a time. */
    renewing_until: number;
    /** Of the last access token. */
    life_seconds: number | null;
    connected_at: number;
    last_used_at: number | null;
    attempts: number;
    /** When a replica revokes it next. */
    next_try_at: number | null;
  };

  /** Just-in-time credentials and their whole life. Times are milliseconds; flags 0 or 1; `scope` and `clamped` JSON. */
  leases: {
    id: string;
    provider: string;
    agent: string;
    task: string;
    environment: string;
    purpose: string;
    /** Task, provider, purpose and scope: one live lease for each. */
    holder: string;
    ungated: number;
    single_use: number;
    state: string;
    scope: string;
    clamped: string;
    max_residual_seconds: number | null;
    intended_at: number;
    /** Whoever makes it has made it by then, or gives up. */
    making_until: number;
    created_at: number | null;
    active_at: number | null;
    expires_at: number;
    /** Where it lives longer than its lease, whatever is done: until then, as far as is known. */
    works_until: number | null;
    revoking_at: number | null;
    revoked_at: number | null;
    reason: string | null;
    attempts: number;
    /** When a replica looks after it next. One that does moves it ahead first. */
    next_try_at: number | null;
    problem: string | null;
    sealed_credential: Uint8Array | null;
    sealed_revocation: Uint8Array | null;
    /** Of its task; null: asked for without one, or never made, so that the key is free. */
    idempotency_key: string | null;
    /** Of what was asked with that key. */
    request_digest: string | null;
    /** The first action that used it, or gave it out. */
    handed_by: string | null;
    /** JSON: what no renewal goes beyond, with the words for people. */
    bounds: string;
    /** The provider was asked to let it live so long, and its answer is not known. */
    extending_to: number | null;
    /** When its provider was last asked to. */
    renewed_at: number | null;
    renewals: number;
    /** The first attempt at ending it that failed. */
    failing_since: number | null;
    /** 1: when its time is over nothing of it works, whatever becomes of its provider. */
    ends_by_itself: number;
    /** Over whose it is and what it may do, and when nobody has to look after it, over that; null: of before there were seals, or being ended. */
    seal: Uint8Array | null;
    drop_asked_by: string | null;
    drop_asked_at: number | null;
    drop_reason: string | null;
    dropped_by: string | null;
    dropped_at: number | null;
    /** Over what is to be given up, and who asked. */
    drop_seal: Uint8Array | null;
  };

  /** One row: up to where each log was looked through, and which leases are not known to be over; as JSON. */
  lease_books: { id: string; body: string; seal: Uint8Array };
}
