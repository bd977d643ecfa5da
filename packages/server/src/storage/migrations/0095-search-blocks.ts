import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/**
 * What makes records findable has the blocks that its ids stand in as terms, and is made anew from the records. Under other names: a replica of the
 * version before that still runs would fill the old ones again, without. SQLite has it in a file of its own.
 */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  if (dialect === 'sqlite') return;
  for (const statement of [
    'drop table search_documents',
    'drop table search_logs',
    'create table search_marks (n int generated always as identity primary key, id text not null unique, next bigint not null, hash text not null)',
    `create table search_entries (
       id bigint not null primary key, log int not null, sequence bigint not null, at bigint not null, terms tsvector not null)`,
    // Small: what waits here is looked through by each search.
    'create index search_entries_terms on search_entries using gin (terms) with (gin_pending_list_limit = 512)',
    'create index search_entries_place on search_entries (log, sequence)',
  ])
    await sql.raw(statement).execute(db);
}
