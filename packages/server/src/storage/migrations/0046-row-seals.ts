import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A seal over what decides in a row. Rows from before have none and let nothing run. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const blob = dialect === 'sqlite' ? 'blob' : 'bytea';
  for (const table of ['approvals', 'deputies', 'standing_grants', 'break_glass', 'flow_endorsements'])
    await sql.raw(`alter table ${table} add column seal ${blob}`).execute(db);
}
