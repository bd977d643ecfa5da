import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A seal over what one person asks for and another agrees to. What waits since before has none, and is asked for again. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const bytes = dialect === 'sqlite' ? 'blob' : 'bytea';
  for (const [table, column] of [
    ['leases', 'drop_seal'],
    ['holds', 'end_seal'],
    ['erasures', 'seal'],
  ])
    await sql.raw(`alter table ${table} add column ${column} ${bytes}`).execute(db);
}
