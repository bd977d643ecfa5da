import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/**
 * When an identity provider last signed somebody in, and in which session of its own: who is known from it alone rests on that. And
 * where a challenge was asked from.
 */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  await sql.raw(`alter table person_identities add column signed_in_at ${int}`).execute(db);
  await sql.raw('alter table person_identities add column provider_session text').execute(db);
  await sql.raw("alter table webauthn_challenges add column source text not null default ''").execute(db);
  await sql.raw('update person_identities set signed_in_at = last_used_at').execute(db);
}
