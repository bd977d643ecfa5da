import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Removed records are taken out of the index by their places, and counted for sinks that had not come to them. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  for (const statement of [
    // SQLite has it in a file of its own.
    ...(dialect === 'sqlite' ? [] : ['create index search_documents_place on search_documents (log, sequence)']),
    `alter table sink_positions add column reached ${int} not null default 0`,
    `alter table sink_positions add column missed ${int} not null default 0`,
    'update sink_positions set reached = sequence',
  ])
    await sql.raw(statement).execute(db);
}
