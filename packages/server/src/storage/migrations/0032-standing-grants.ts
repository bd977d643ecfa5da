import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** More calls like one that a person has approved, as they signed them. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    `create table standing_grants (
       id text not null primary key, approval text not null unique, agent text not null, task text not null, digest text not null,
       subject text not null, terms text not null, given_by text not null, assertion text not null, expires_at ${int} not null,
       ended_at ${int}, ended_by text, reason text) ${isSqlite ? 'strict' : ''}`,
    'create index standing_grants_task on standing_grants (task, expires_at)',
    'create index standing_grants_agent on standing_grants (agent, expires_at)',
    'create index standing_grants_expiry on standing_grants (expires_at)',
    'create index approvals_asked on approvals (agent, created_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
