import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Every table of the first version, and the indices that its pages and the hot path need. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  for (const statement of statements(dialect)) await sql.raw(statement).execute(db);
}

function statements(dialect: Dialect): string[] {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const blob = isSqlite ? 'blob' : 'bytea';
  const counter = isSqlite ? 'integer primary key autoincrement' : 'bigint generated always as identity primary key';
  /** A table with a row number of its own: for wide rows. */
  const wide = isSqlite ? 'strict' : '';
  /** One tree, ordered by the primary key: for narrow rows that are looked up by it. */
  const narrow = isSqlite ? 'strict, without rowid' : '';

  return [
    `create table meta (key text not null primary key, value text not null) ${narrow}`,

    `create table objects (
       kind text not null, name text not null, body text not null, updated_at ${int} not null,
       primary key (kind, name)) ${wide}`,

    `create table agents (
       name text not null primary key, environment text not null, owner text not null, blueprint text not null,
       state text not null, epoch ${int} not null, killed_at ${int}, body text not null, updated_at ${int} not null) ${wide}`,
    'create index agents_owner on agents (owner)',
    'create index agents_environment on agents (environment)',

    `create table definitions (
       server text not null, kind text not null, name text not null, state text not null, approved_digest text,
       approved_body text, served_digest text, served_body text, reviewed_by text, reviewed_at ${int},
       seen_at ${int} not null, primary key (server, kind, name)) ${wide}`,

    `create table tasks (
       id text not null primary key, agent text not null, environment text not null, template text not null,
       parameters text not null, intent text not null, on_behalf_of text, requested_by text, ticket text,
       change_request text, model_provider text, model text, state text not null, started_at ${int} not null,
       expires_at ${int} not null, ended_at ${int}) ${wide}`,
    'create index tasks_agent on tasks (agent, started_at)',
    'create index tasks_state on tasks (state, expires_at)',

    `create table fences (key text not null primary key, version ${int} not null) ${narrow}`,
    `create table changes (sequence ${counter}, topic text not null, key text not null, at ${int} not null) ${wide}`,
    `create table replicas (
       id text not null primary key, acknowledged ${int} not null, lease_until ${int} not null,
       started_at ${int} not null) ${narrow}`,

    `create table approvals (
       id text not null primary key, action_id text not null, state text not null, digest text not null,
       agent text not null, task text not null, body text not null, created_at ${int} not null,
       expires_at ${int} not null, decided_at ${int}, decided_by text, reason text, assertion text, consumed_by text) ${wide}`,
    'create index approvals_action on approvals (action_id)',
    'create index approvals_agent on approvals (agent, state)',
    'create index approvals_task on approvals (task)',
    'create index approvals_state on approvals (state, created_at)',

    `create table logs (
       id text not null primary key, replica text not null, vkey text not null, created_at ${int} not null) ${wide}`,
    `create table records (
       log text not null, sequence ${int} not null, leaf_hash ${blob} not null, kind text not null, action_id text not null,
       at ${int} not null, operation text not null, agent text, task text, person text, tool text, resource text,
       effect text, result text, approval text, ticket text, entry text not null, primary key (log, sequence)) ${wide}`,
    'create index records_action on records (action_id)',
    'create index records_at on records (at)',
    'create index records_agent on records (agent, at) where agent is not null',
    'create index records_task on records (task, at) where task is not null',
    'create index records_tool on records (tool, at) where tool is not null',
    `create table bodies (
       action_id text not null, kind text not null, salt ${blob} not null, body text, created_at ${int} not null,
       erased_at ${int}, primary key (action_id, kind, salt)) ${wide}`,
    `create table tiles (
       log text not null, level ${int} not null, tile ${int} not null, width ${int} not null, hashes ${blob} not null,
       primary key (log, level, tile)) ${wide}`,
    `create table checkpoints (
       log text not null, size ${int} not null, note text not null, at ${int} not null, primary key (log, size)) ${wide}`,

    `create table passkeys (
       id text not null primary key, person text not null, public_key ${blob} not null, counter ${int} not null,
       transports text not null, name text not null, created_at ${int} not null, last_used_at ${int}) ${wide}`,
    'create index passkeys_person on passkeys (person)',
    `create table people_sessions (
       id_digest text not null primary key, person text not null, created_at ${int} not null, expires_at ${int} not null,
       last_seen_at ${int} not null, user_agent text not null, via text not null) ${wide}`,
    'create index people_sessions_person on people_sessions (person)',
    'create index people_sessions_expiry on people_sessions (expires_at)',
    `create table signin_links (
       token_digest text not null primary key, person text not null, expires_at ${int} not null, used_at ${int}) ${narrow}`,
    `create table webauthn_challenges (
       id text not null primary key, person text not null, purpose text not null, challenge text not null,
       expires_at ${int} not null) ${narrow}`,

    `create table signing_keys (
       kid text not null primary key, purpose text not null, algorithm text not null, public_jwk text not null,
       sealed_private ${blob} not null, state text not null, created_at ${int} not null) ${wide}`,
    `create table secrets (
       name text not null primary key, sealed ${blob} not null, updated_at ${int} not null) ${wide}`,
    `create table revoked_tokens (token_id text not null primary key, expires_at ${int} not null) ${narrow}`,
    'create index revoked_tokens_expiry on revoked_tokens (expires_at)',
    `create table oauth_artifacts (
       model text not null, id text not null, payload text not null, expires_at ${int}, consumed_at ${int}, uid text,
       grant_id text, user_code text, primary key (model, id)) ${wide}`,
    'create index oauth_artifacts_uid on oauth_artifacts (model, uid) where uid is not null',
    'create index oauth_artifacts_grant on oauth_artifacts (grant_id) where grant_id is not null',
    'create index oauth_artifacts_user_code on oauth_artifacts (model, user_code) where user_code is not null',
    'create index oauth_artifacts_expiry on oauth_artifacts (expires_at) where expires_at is not null',
  ];
}
