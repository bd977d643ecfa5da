import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** A lease is issued once for an idempotency key, and renewed within the bounds that it was issued with. Those of before are not renewed. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  for (const statement of [
    'alter table leases add column idempotency_key text',
    'alter table leases add column request_digest text',
    "alter table leases add column bounds text not null default '[]'",
    `alter table leases add column extending_to ${int}`,
    `alter table leases add column renewed_at ${int}`,
    `alter table leases add column renewals ${int} not null default 0`,
    'create unique index leases_key on leases (task, idempotency_key) where idempotency_key is not null',
  ])
    await sql.raw(statement).execute(db);
}
