import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What agents usually do: one row for each tool of an agent, and one without a tool for all that it does. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const statements = [
    `create table baselines (
       agent text not null, tool text not null, usual text not null, unusual text, updated_at ${isSqlite ? 'integer' : 'bigint'} not null,
       primary key (agent, tool)) ${isSqlite ? 'strict' : ''}`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
