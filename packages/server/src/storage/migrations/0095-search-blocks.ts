import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Documents of the index have the blocks that their ids stand in as terms: it is made anew from the records. SQLite has it in a file of its own. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  if (dialect === 'postgres') await sql`truncate search_documents, search_logs`.execute(db);
}
