import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A seal over all labels of each holder. Those of before are sealed once, when the server starts next. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const [int, bytes] = isSqlite ? ['integer', 'blob'] : ['bigint', 'bytea'];
  const strict = isSqlite ? 'strict' : '';
  for (const statement of [
    `create table flow_heads (holder text not null primary key, counter ${int} not null, seal ${bytes} not null) ${strict}`,
    "insert into meta (key, value) select 'seal:flow-labels', 'due' where exists (select 1 from flow_labels)",
  ])
    await sql.raw(statement).execute(db);
}
