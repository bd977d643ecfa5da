import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Who has confirmed a deputy that an admin proposed. What an admin named before waits to be confirmed. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await sql.raw('alter table deputies add column confirmed_by text').execute(db);
  await sql
    .raw(`alter table deputies add column confirmed_at ${dialect === 'sqlite' ? 'integer' : 'bigint'}`)
    .execute(db);
}
