import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** How long each task under a delegation may last. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  await sql.raw(`alter table delegations add column task_ttl_seconds ${int}`).execute(db);
}
