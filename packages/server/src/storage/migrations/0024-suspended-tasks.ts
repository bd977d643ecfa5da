import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Tasks that are stopped until a person lets them go on. `fence` is what theirs stands at: stopping and letting go on each raise it. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  await sql.raw('alter table tasks add column suspended text').execute(db);
  await sql.raw(`alter table tasks add column suspended_at ${int}`).execute(db);
  await sql.raw(`alter table tasks add column fence ${int} not null default 0`).execute(db);
}
