import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Whether a message showed all that would be approved, and when its place was last asked what was said to it. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  await sql.raw(`alter table deliveries add column whole ${int} not null default 0`).execute(db);
  await sql.raw(`alter table deliveries add column looked_at ${int} not null default 0`).execute(db);
}
