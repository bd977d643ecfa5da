import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Accounts at other systems that people have let an agent use: what renews the access is sealed, and renewed by one replica at a time. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const [int, bytes, strict] = isSqlite ? ['integer', 'blob', 'strict'] : ['bigint', 'bytea', ''];
  const statements = [
    `create table accounts (
       id text not null primary key, provider text not null, agent text not null, user_email text not null, scopes text not null,
       issuer text not null, state text not null, problem text, sealed ${bytes} not null, version ${int} not null,
       renewing_until ${int} not null, life_seconds ${int}, connected_at ${int} not null, last_used_at ${int}, attempts ${int} not null,
       next_try_at ${int}) ${strict}`,
    "create unique index accounts_one on accounts (provider, agent, user_email, scopes) where state <> 'ending'",
    "create index accounts_ending on accounts (next_try_at) where state = 'ending'",
    'create index accounts_user on accounts (user_email)',
    'create index accounts_agent on accounts (agent)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
