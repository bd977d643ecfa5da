import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What was issued and is not known to be over, by the record. What is being ended is tried at once: until when it may be left is sealed from now on. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const [bytes, strict] = dialect === 'sqlite' ? ['blob', 'strict'] : ['bytea', ''];
  for (const statement of [
    `create table lease_books (id text not null primary key, body text not null, seal ${bytes} not null) ${strict}`,
    "update leases set next_try_at = intended_at where state in ('revoking', 'stuck') and next_try_at is not null",
  ])
    await sql.raw(statement).execute(db);
}
