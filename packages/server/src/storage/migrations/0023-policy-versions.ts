import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What decided from when to when, and changes of it that wait for a second person. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const strict = isSqlite ? 'strict' : '';
  const statements = [
    `create table policy_versions (
       number ${int} not null primary key, policy_version text not null, at ${int} not null, by text not null,
       approved_by text, proposal ${int}, rollback_to ${int}, note text not null, changes text not null) ${strict}`,
    'create index policy_versions_digest on policy_versions (policy_version)',
    `create table policy_objects (
       kind text not null, name text not null, from_version ${int} not null, to_version ${int}, body text not null,
       primary key (kind, name, from_version)) ${strict}`,
    'create index policy_objects_current on policy_objects (kind, name) where to_version is null',
    `create table policy_proposals (
       number ${int} not null primary key, state text not null, author text not null, note text not null,
       base ${int} not null, change text not null, shown text not null, digest text not null, created_at ${int} not null,
       expires_at ${int} not null, decided_at ${int}, decided_by text, reason text, assertion text, replay text) ${strict}`,
    'create index policy_proposals_state on policy_proposals (state, number)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
