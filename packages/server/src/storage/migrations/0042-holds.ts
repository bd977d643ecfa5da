import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What may not be removed, and what is to be erased; bodies are removed by their age. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const strict = isSqlite ? 'strict' : '';
  for (const statement of [
    `create table holds (
       id text not null primary key, scope text not null, reason text not null, placed_by text not null, placed_at ${int} not null,
       end_asked_by text, end_asked_at ${int}, ended_by text, ended_at ${int}) ${strict}`,
    `create table erasures (
       id text not null primary key, scope text not null, reason text not null, state text not null, asked_by text not null,
       asked_at ${int} not null, agreed_by text, agreed_at ${int}, position ${int}, erased ${int} not null, held ${int} not null,
       ended_at ${int}) ${strict}`,
    'create index bodies_age on bodies (created_at, action_id)',
  ])
    await sql.raw(statement).execute(db);
}
