import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Until when a credential works that lives longer than its lease and that nobody can end. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await sql.raw(`alter table leases add column works_until ${dialect === 'sqlite' ? 'integer' : 'bigint'}`).execute(db);
}
