import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What sessions of the command line ask for and their people confirm in a browser. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    `create table confirmations (
       id text not null primary key, salt text not null, session text not null, person text not null, digest text not null,
       shown text not null, state text not null, created_at ${int} not null, expires_at ${int} not null) ${isSqlite ? 'strict' : ''}`,
    'create index confirmations_session on confirmations (session)',
    'create index confirmations_expiry on confirmations (expires_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
