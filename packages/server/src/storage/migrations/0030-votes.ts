import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Each yes and each no to an approval, and those who speak for somebody else for a time. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const wide = isSqlite ? 'strict' : '';
  const statements = [
    `alter table approvals add column answers ${int} not null default 0`,
    `alter table approvals add column escalated_seconds ${int} not null default 0`,
    `create table approval_votes (
       approval text not null, number ${int} not null, person text not null, answer text not null, at ${int} not null,
       assertion text, reason text, primary key (approval, number)) ${wide}`,
    `create table deputies (
       id text not null primary key, person text not null, deputy text not null, from_at ${int} not null, until_at ${int} not null,
       reason text not null, made_at ${int} not null, made_by text not null, withdrawn_at ${int}, withdrawn_by text) ${wide}`,
    'create index deputies_person on deputies (person)',
    'create index deputies_until on deputies (until_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
