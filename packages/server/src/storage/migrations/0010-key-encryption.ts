import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Which key-encryption key is current, and those that a key service keeps for us, wrapped. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  await sql
    .raw(
      `create table key_encryption_keys (
         id text not null primary key, source text not null, wrapped text, state text not null,
         created_at ${isSqlite ? 'integer' : 'bigint'} not null) ${isSqlite ? 'strict' : ''}`,
    )
    .execute(db);
}
