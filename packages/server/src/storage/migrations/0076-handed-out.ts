import { type Kysely, sql } from 'kysely';

/** Which action was the first to use a lease, or to hand it out: given again within its life, it stands on the same yes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table leases add column handed_by text').execute(db);
}
