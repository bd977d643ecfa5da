import { type Kysely, sql } from 'kysely';

/** What an endorsed value is endorsed for, as it was signed. Those from before cover nothing. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw("alter table flow_endorsements add column covers text not null default ''").execute(db);
}
