import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Whose passkeys' keys there have ever been. Those of before are noted once, when the server starts next. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const [int, bytes] = isSqlite ? ['integer', 'blob'] : ['bigint', 'bytea'];
  const strict = isSqlite ? 'strict' : '';
  for (const statement of [
    `create table enrolled_keys (id text not null primary key, person text not null, key text not null, at ${int} not null, seal ${bytes} not null) ${strict}`,
    "insert into meta (key, value) select 'seal:enrolled-keys', 'due' where exists (select 1 from passkeys) or exists (select 1 from approval_votes)",
  ])
    await sql.raw(statement).execute(db);
}
