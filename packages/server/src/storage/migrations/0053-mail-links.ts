import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Links in mails, each for one person, one mail and one approval, and what a session that began with one is about. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const blob = isSqlite ? 'blob' : 'bytea';
  const statements = [
    `create table mail_links (
       token_digest text not null primary key, person text not null, approval text not null, channel text not null, mail text not null,
       expires_at ${int} not null, used_at ${int}, refused_at ${int}, seal ${blob}) ${isSqlite ? 'strict' : ''}`,
    'create index mail_links_approval on mail_links (approval)',
    'create index mail_links_person on mail_links (person)',
    'create index mail_links_expires on mail_links (expires_at)',
    'alter table people_sessions add column approval text',
    'alter table people_sessions add column channel text',
    'create index people_sessions_approval on people_sessions (approval) where approval is not null',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
