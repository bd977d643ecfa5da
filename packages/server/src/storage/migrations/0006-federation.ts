import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What outside identities need: issuers' keys to go on with, uses of trust rules, one-time join tokens, the lives of workloads. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const wide = isSqlite ? 'strict' : '';
  const narrow = isSqlite ? 'strict, without rowid' : '';
  for (const statement of [
    `create table issuer_keys (
       id text not null primary key, issuer text not null, jwks text not null, fetched_at ${int} not null) ${wide}`,
    `create table trust_rule_uses (
       rule text not null primary key, used_at ${int} not null, uses ${int} not null) ${narrow}`,
    `create table outside_tokens (
       id text not null primary key, used_with text not null, expires_at ${int} not null) ${narrow}`,
    'create index outside_tokens_expiry on outside_tokens (expires_at)',
    `create table join_tokens (
       id text not null primary key, token_digest text not null unique, agent text not null, addresses text not null,
       created_by text not null, created_at ${int} not null, expires_at ${int} not null, used_at ${int}) ${wide}`,
    'create index join_tokens_agent on join_tokens (agent, created_at)',
    `create table workload_lives (
       name text not null primary key, state text not null, epoch ${int} not null, killed_at ${int}) ${narrow}`,
    'alter table tasks add column vouched_by text',
    'create index tasks_vouched_by on tasks (vouched_by) where vouched_by is not null',
  ]) {
    await sql.raw(statement).execute(db);
  }
}
