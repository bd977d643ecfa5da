import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What people are told of approvals in other places, and what was heard from there. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const strict = isSqlite ? 'strict' : '';
  const statements = [
    `create table deliveries (
       id text not null primary key, channel text not null, approval text not null, event text not null, recipient text not null,
       state text not null, attempts ${int} not null, due_at ${int} not null, created_at ${int} not null, updated_at ${int} not null,
       about text, reference text, error text) ${strict}`,
    'create index deliveries_due on deliveries (channel, state, due_at)',
    'create index deliveries_approval on deliveries (approval)',
    'create index deliveries_updated on deliveries (updated_at)',
    `create table channel_messages (channel text not null, message text not null, expires_at ${int} not null,
       primary key (channel, message)) ${strict}`,
    'create index channel_messages_expires on channel_messages (expires_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
