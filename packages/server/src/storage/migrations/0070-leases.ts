import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Just-in-time credentials: what was issued to whom for what, what ending it takes, and how far that has come. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const [int, bytes, strict] = isSqlite ? ['integer', 'blob', 'strict'] : ['bigint', 'bytea', ''];
  const statements = [
    `create table leases (
       id text not null primary key, provider text not null, agent text not null, task text not null, environment text not null,
       purpose text not null, holder text not null, ungated ${int} not null, single_use ${int} not null, state text not null,
       scope text not null, clamped text not null, max_residual_seconds ${int}, intended_at ${int} not null, making_until ${int} not null,
       created_at ${int}, active_at ${int}, expires_at ${int} not null, revoking_at ${int}, revoked_at ${int}, reason text,
       attempts ${int} not null, next_try_at ${int}, problem text, sealed_credential ${bytes}, sealed_revocation ${bytes}) ${strict}`,
    "create unique index leases_live on leases (holder) where state in ('intended', 'created', 'active')",
    "create index leases_due on leases (next_try_at) where state <> 'revoked'",
    'create index leases_task on leases (task)',
    'create index leases_agent on leases (agent, intended_at)',
    'create index leases_provider on leases (provider, intended_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
