import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/**
 * Searches have an index of their own, filled beside the hot path, so that an append writes to none for each column any more. What is
 * read at once by agent are its changes alone.
 */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const statements = [
    ...['agent', 'task', 'tool', 'person', 'approval', 'ticket'].map((column) => `drop index records_${column}`),
    "create index records_changes on records (agent, at) where kind = 'change' and agent is not null",
    // SQLite has it in a file of its own.
    ...(dialect === 'sqlite'
      ? []
      : [
          'create table search_logs (n int generated always as identity primary key, id text not null unique, next bigint not null, hash text not null)',
          `create table search_documents (
             id bigint not null primary key, log int not null, sequence bigint not null, at bigint not null, terms tsvector not null)`,
          // Small: what waits here is looked through by each search.
          'create index search_terms on search_documents using gin (terms) with (gin_pending_list_limit = 512)',
        ]),
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
