import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Who had a hand in a passkey, who decided until lately, and the first yes to what the host's token has proposed. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    'alter table signin_links add column made_by text',
    'alter table people_sessions add column made_by text',
    'alter table passkeys add column made_by text',
    'alter table passkeys add column confirmed_by text',
    `create table former_deciders (person text not null primary key, until ${int} not null) ${isSqlite ? 'strict' : ''}`,
    'alter table policy_proposals add column agreed_by text',
    'alter table policy_proposals add column agreed_assertion text',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
