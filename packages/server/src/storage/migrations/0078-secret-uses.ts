import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Who looks after a secret, when a new one is due, and when it was used last. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const [int, strict] = dialect === 'sqlite' ? ['integer', 'strict'] : ['bigint', ''];
  for (const statement of [
    'alter table secrets add column owner text',
    `alter table secrets add column rotate_days ${int}`,
    `create table secret_uses (id text not null primary key, last_used_at ${int} not null, changed_at ${int}) ${strict}`,
  ])
    await sql.raw(statement).execute(db);
}
