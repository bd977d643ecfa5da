import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Sign-in with a company's provider, sessions of terminals, and people that a directory provisions (SCIM). */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const blob = isSqlite ? 'blob' : 'bytea';
  const wide = isSqlite ? 'strict' : '';
  const narrow = isSqlite ? 'strict, without rowid' : '';
  for (const statement of [
    `alter table people_sessions add column restricted ${int} not null default 0`,
    'alter table people_sessions add column dpop_jkt text',
    'alter table people_sessions add column provider text',
    'alter table people_sessions add column provider_subject text',
    'alter table people_sessions add column provider_session text',

    `create table person_identities (
       issuer text not null, subject text not null, person text not null, provider text not null, linked_at ${int} not null,
       last_used_at ${int} not null, primary key (issuer, subject)) ${wide}`,
    'create index person_identities_person on person_identities (person)',
    `create table provider_sign_ins (
       state_digest text not null primary key, provider text not null, browser_digest text not null, nonce text not null,
       sealed_verifier ${blob} not null, next text not null, expires_at ${int} not null) ${wide}`,
    'create index provider_sign_ins_expiry on provider_sign_ins (expires_at)',

    `create table scim_tokens (
       id text not null primary key, name text not null, token_digest text not null unique,
       created_at ${int} not null, created_by text not null, last_used_at ${int}, expires_at ${int}) ${wide}`,
    `create table scim_users (
       id text not null primary key, user_name text not null unique, email text not null unique, external_id text,
       active ${int} not null, body text not null, version ${int} not null, created_at ${int} not null,
       updated_at ${int} not null) ${wide}`,
    'create index scim_users_external on scim_users (external_id) where external_id is not null',
    `create table scim_groups (
       id text not null primary key, display_name text not null unique, external_id text, version ${int} not null,
       created_at ${int} not null, updated_at ${int} not null) ${wide}`,
    `create table scim_members (
       group_id text not null, user_id text not null, primary key (group_id, user_id)) ${narrow}`,
    'create index scim_members_user on scim_members (user_id)',
  ]) {
    await sql.raw(statement).execute(db);
  }
}
