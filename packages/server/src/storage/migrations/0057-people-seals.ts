import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A seal over what lets people in. Passkeys of before are sealed once, when the server starts next; sessions and links of before let nobody in. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const blob = dialect === 'sqlite' ? 'blob' : 'bytea';
  for (const table of ['passkeys', 'people_sessions', 'signin_links'])
    await sql.raw(`alter table ${table} add column seal ${blob}`).execute(db);
  await sql
    .raw("insert into meta (key, value) select 'seal:passkeys', 'due' where exists (select 1 from passkeys)")
    .execute(db);
}
