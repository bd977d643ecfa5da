import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Emergencies in which two people let calls of one task run without an approval, and what was said of them afterwards. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    `create table break_glass (
       id text not null primary key, agent text not null, task text not null, subject text not null, digest text not null,
       requested_at ${int} not null, first_by text, first_assertion text, second_by text, second_assertion text, until ${int},
       ended_at ${int}, ended_by text, over_at ${int}, reviewed_by text, reviewed_at ${int}, review text) ${isSqlite ? 'strict' : ''}`,
    'create index break_glass_task on break_glass (task)',
    'create index break_glass_agent on break_glass (agent)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
