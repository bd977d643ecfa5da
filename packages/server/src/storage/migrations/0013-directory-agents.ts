import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Agents that a directory names (SCIM), and the order in which its resources are listed. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  for (const statement of [
    `create table scim_agents (
       id text not null primary key, name text not null unique, external_id text, suspended ${int} not null,
       body text not null, version ${int} not null, created_at ${int} not null, updated_at ${int} not null)
       ${isSqlite ? 'strict' : ''}`,
    'create index scim_agents_external on scim_agents (external_id) where external_id is not null',
    'create index scim_agents_order on scim_agents (created_at, id)',
    'create index scim_users_order on scim_users (created_at, id)',
    'create index scim_groups_order on scim_groups (created_at, id)',
  ]) {
    await sql.raw(statement).execute(db);
  }
}
