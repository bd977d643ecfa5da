import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/**
 * A seal over what two people have agreed to. Of an erasure that runs nobody can tell that it is what they agreed to: it waits for a second person
 * again. Ends of holds are sealed by what is on record.
 */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const bytes = dialect === 'sqlite' ? 'blob' : 'bytea';
  for (const statement of [
    `alter table erasures add column agreed_seal ${bytes}`,
    `alter table holds add column ended_seal ${bytes}`,
    `update erasures set state = 'waiting', agreed_by = null, agreed_at = null, bounds = null, reached = null, held = 0 where state = 'running'`,
  ])
    await sql.raw(statement).execute(db);
}
