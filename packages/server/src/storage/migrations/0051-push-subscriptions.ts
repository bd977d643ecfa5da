import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Browsers that tell their person what waits, by Web Push. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const bytes = isSqlite ? 'blob' : 'bytea';
  const statements = [
    `create table push_subscriptions (
       id text not null primary key, person text not null, session text not null, endpoint_digest text not null unique, service text not null,
       sealed ${bytes} not null, user_agent text not null, stays ${int} not null, created_at ${int} not null, seen_at ${int} not null,
       sent_at ${int}) ${isSqlite ? 'strict' : ''}`,
    'create index push_subscriptions_person on push_subscriptions (person)',
    'create index push_subscriptions_seen on push_subscriptions (seen_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
