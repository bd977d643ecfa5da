import { type Kysely, sql } from 'kysely';

/** By approval, the few records that something was said yes to: evidence looks for one of them for each call that needed a yes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(
      "create index records_given on records (approval, at) where operation in ('approval.approve', 'grant.give', 'break-glass.open')",
    )
    .execute(db);
}
