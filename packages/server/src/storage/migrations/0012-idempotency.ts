import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Requests that began something and may be sent again: what they were answered, written with what they began. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  for (const statement of [
    `create table idempotency_keys (
       key text not null, caller text not null, digest text not null, answer text not null, expires_at ${int} not null,
       primary key (caller, key)) ${dialect === 'sqlite' ? 'strict' : ''}`,
    'create index idempotency_keys_expiry on idempotency_keys (expires_at)',
  ]) {
    await sql.raw(statement).execute(db);
  }
}
