import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Since when the end of a lease fails, who gave it up, and whether it ends by itself. Of those of before that is not known: they do not. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  for (const statement of [
    `alter table leases add column failing_since ${int}`,
    `alter table leases add column ends_by_itself ${int} not null default 0`,
    'alter table leases add column drop_asked_by text',
    `alter table leases add column drop_asked_at ${int}`,
    'alter table leases add column drop_reason text',
    'alter table leases add column dropped_by text',
    `alter table leases add column dropped_at ${int}`,
    'drop index leases_due',
    "create index leases_due on leases (next_try_at) where state not in ('revoked', 'dropped')",
  ])
    await sql.raw(statement).execute(db);
}
