import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A seal over what was sent where, when a place last said that nobody has answered, and who has looked at what before they answer on their device. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const blob = isSqlite ? 'blob' : 'bytea';
  const statements = [
    `alter table deliveries add column seal ${blob}`,
    `alter table deliveries add column open_at ${int}`,
    `create table approval_looks (
       id text not null primary key, approval text not null, person text not null, digest text not null, at ${int} not null,
       expires_at ${int} not null, seal ${blob}) ${isSqlite ? 'strict' : ''}`,
    'create index approval_looks_expires on approval_looks (expires_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
