import { type Kysely, sql } from 'kysely';

/** The key for identity providers is kept as the other signing keys are; the next use makes one, which providers fetch. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw("delete from signing_keys where purpose = 'identity-provider-client'").execute(db);
}
