import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What a tool server asked for is sealed, as it leads people to an authorization server. Those of before are found out again by the next call. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  await sql.raw('drop table upstream_needs').execute(db);
  await sql
    .raw(
      `create table upstream_demands (
         id text not null primary key, server text not null, sealed ${isSqlite ? 'blob' : 'bytea'} not null,
         at ${isSqlite ? 'integer' : 'bigint'} not null) ${isSqlite ? 'strict' : ''}`,
    )
    .execute(db);
}
