import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** An agreement to short times counts with the record of it; those of before have none, and are given again. Logs are looked through anew. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  for (const statement of [
    'delete from retention_agreements',
    "alter table retention_agreements add column id text not null default ''",
    'delete from retention_marks',
    `alter table retention_marks add column again ${int}`,
    'create index removals_waiting on removals (recorded_at) where removed_at is null',
  ])
    await sql.raw(statement).execute(db);
}
