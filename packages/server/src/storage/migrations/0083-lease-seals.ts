import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A seal over whose a lease is and what it may do. Those of before have none, and are ended when the server starts next. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  for (const statement of [
    `alter table leases add column seal ${dialect === 'sqlite' ? 'blob' : 'bytea'}`,
    "insert into meta (key, value) select 'seal:leases', 'due' where exists (select 1 from leases)",
  ])
    await sql.raw(statement).execute(db);
}
