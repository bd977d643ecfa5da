import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Calls that wait or run as MCP tasks, with what came of them, sealed; and on whose proven behalf a question was asked. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const bytes = isSqlite ? 'blob' : 'bytea';
  for (const statement of [
    `create table waiting_tasks (
       id text not null primary key, agent text not null, agent_epoch ${int} not null, task text not null, view text not null, era text not null,
       approval text, action_id text not null, state text not null, shown ${int} not null, sealed ${bytes} not null, answer ${bytes},
       created_at ${int} not null, updated_at ${int} not null, expires_at ${int} not null) ${isSqlite ? 'strict' : ''}`,
    // One question is one task, however often the client sends the call.
    "create unique index waiting_tasks_open on waiting_tasks (approval, view, era) where state = 'waiting' and approval is not null",
    'create index waiting_tasks_task on waiting_tasks (task, id)',
    'create index waiting_tasks_expires on waiting_tasks (expires_at)',
    'alter table approvals add column asked_for text',
  ])
    await sql.raw(statement).execute(db);
}
