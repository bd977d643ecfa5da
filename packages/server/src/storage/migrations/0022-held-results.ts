import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Results that wait for a person, sealed. The approval that would release one is named once it has been asked for. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    `create table held_results (
       id text not null primary key, call_digest text not null, approval text, agent text not null, task text not null, action_id text not null,
       tool text not null, reason text not null, digest text not null, bytes ${int} not null, items ${int} not null, labels text not null,
       sealed ${isSqlite ? 'blob' : 'bytea'} not null, created_at ${int} not null, expires_at ${int} not null) ${isSqlite ? 'strict' : ''}`,
    'create index held_results_call on held_results (call_digest)',
    'create index held_results_approval on held_results (approval)',
    'create index held_results_agent on held_results (agent)',
    'create index held_results_expires on held_results (expires_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
