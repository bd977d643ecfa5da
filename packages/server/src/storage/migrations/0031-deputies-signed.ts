import { type Kysely, sql } from 'kysely';

/** What a person signed when they named their deputy. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table deputies add column assertion text').execute(db);
}
