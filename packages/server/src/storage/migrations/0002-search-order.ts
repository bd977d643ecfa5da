import { type Kysely, sql } from 'kysely';

/**
 * The newest records of all are read in the order of their pages (`at`, `log`, `sequence`): an index on `at` alone had SQLite sort
 * the whole table. Person, approval and ticket are found without a scan; each stands in few records, so its index is small.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [
    'drop index records_at',
    'create index records_at on records (at, log, sequence)',
    'create index records_person on records (person, at) where person is not null',
    'create index records_approval on records (approval, at) where approval is not null',
    'create index records_ticket on records (ticket, at) where ticket is not null',
  ]) {
    await sql.raw(statement).execute(db);
  }
}
