import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Standing delegations: kept after their end, because tasks and records name them. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  const strict = dialect === 'sqlite' ? 'strict' : '';
  for (const statement of [
    `create table delegations (
       id text not null primary key, user_email text not null, agent text not null, template text not null,
       parameters text not null, tools text, max_tasks_per_day ${int}, created_at ${int} not null, via text not null,
       expires_at ${int} not null, review_due_at ${int} not null, reviewed_at ${int}, revoked_at ${int}, revoked_by text,
       used ${int} not null, last_used_at ${int}) ${strict}`,
    'create index delegations_user on delegations (user_email, id)',
    'create index delegations_agent on delegations (agent, id)',
  ])
    await sql.raw(statement).execute(db);
}
