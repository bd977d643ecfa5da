import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Where a secret may be sent; tool servers that an operator has connected, and connecting that has begun. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const blob = isSqlite ? 'blob' : 'bytea';
  const wide = isSqlite ? 'strict' : '';
  for (const statement of [
    "alter table secrets add column origins text not null default '[]'",
    `create table upstream_grants (
       id text not null primary key, server text not null, binding text not null, issuer text not null, resource text not null,
       client_id text not null, scopes text not null, bound ${int} not null, renewable ${int} not null, sealed ${blob} not null,
       version ${int} not null, renewing_until ${int} not null, expires_at ${int}, connected_by text not null,
       connected_at ${int} not null) ${wide}`,
    `create table upstream_needs (
       id text not null primary key, server text not null, body text not null, at ${int} not null) ${wide}`,
    `create table upstream_clients (
       id text not null primary key, server text not null, sealed ${blob} not null, created_at ${int} not null) ${wide}`,
    `create table upstream_connects (
       state_digest text not null primary key, sealed ${blob} not null, expires_at ${int} not null) ${wide}`,
  ]) {
    await sql.raw(statement).execute(db);
  }
}
