import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What tasks, agents and stores have seen: one row for each label of each, with the result that brought it first. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const strict = isSqlite ? 'strict' : '';
  const statements = [
    `create table flow_labels (
       holder text not null, label text not null, tool text not null, action_id text not null, task text not null, at ${int} not null,
       primary key (holder, label)) ${strict}`,
    `create table flow_endorsements (
       id text not null primary key, task text not null, role text not null, value text not null, shown text not null, approval text not null,
       person text not null, at ${int} not null) ${strict}`,
    'create index flow_endorsements_task on flow_endorsements (task)',
    'create index flow_labels_at on flow_labels (at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
