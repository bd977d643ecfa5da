import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Calls that may change something, from their dispatch until it is known what came of them. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    `create table open_calls (
       action_id text not null primary key, call_digest text not null, key_digest text, log text not null, agent text not null, task text not null,
       environment text not null, tool text not null, sent_at ${int} not null, unknown_at ${int}, detail text, resolution text, resolved_by text,
       resolved_at ${int}, note text) ${isSqlite ? 'strict' : ''}`,
    'create index open_calls_call on open_calls (call_digest)',
    'create index open_calls_unknown on open_calls (action_id) where unknown_at is not null and resolution is null',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
