import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Records wait for every receiver before they go by their age; those from before this time need not, as somebody has said. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await sql.raw(`alter table sinks add column let_go_at ${dialect === 'sqlite' ? 'integer' : 'bigint'}`).execute(db);
}
