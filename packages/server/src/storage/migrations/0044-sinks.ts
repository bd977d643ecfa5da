import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Receivers of the record: who delivers, how far each has come in each log, and what it refused for good. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const [integer, strict] = isSqlite ? ['integer', 'strict'] : ['bigint', ''];
  const statements = [
    `create table sinks (
       name text not null primary key, since ${integer} not null, owner text, owned_until ${integer} not null default 0,
       paused_at ${integer}, paused_by text, delivered_at ${integer}, problem text, failing_since ${integer}, next_try_at ${integer}) ${strict}`,
    `create table sink_positions (
       sink text not null, log text not null, sequence ${integer} not null, primary key (sink, log)) ${strict}`,
    `create table sink_quarantine (
       sink text not null, log text not null, sequence ${integer} not null, reason text not null, at ${integer} not null,
       primary key (sink, log, sequence)) ${strict}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
