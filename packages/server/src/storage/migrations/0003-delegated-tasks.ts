import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** For whom a task acts, who delegated it and to what it was narrowed; which tasks end with an agent that is not theirs. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const narrow = dialect === 'sqlite' ? 'strict, without rowid' : '';
  for (const statement of [
    'alter table tasks add column user_email text',
    'alter table tasks add column delegation text',
    'alter table tasks add column parent text',
    "alter table tasks add column actors text not null default '[]'",
    'alter table tasks add column narrowing text',
    'create index tasks_user on tasks (user_email, started_at) where user_email is not null',
    'create index tasks_delegation on tasks (delegation) where delegation is not null',
    'create index tasks_parent on tasks (parent) where parent is not null',
    `create table task_actors (agent text not null, task text not null, primary key (agent, task)) ${narrow}`,
  ]) {
    await sql.raw(statement).execute(db);
  }
}
