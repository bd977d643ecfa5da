import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What witnesses have signed beneath a checkpoint, as lines of the note, and when those were enough. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  await sql.raw("alter table checkpoints add column cosignatures text not null default ''").execute(db);
  await sql.raw(`alter table checkpoints add column cosigned_at ${int}`).execute(db);
  await sql
    .raw('create index checkpoints_cosigned on checkpoints (log, size) where cosigned_at is not null')
    .execute(db);
}
