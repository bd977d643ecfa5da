import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** The last good bundle of each trust domain that is federated with, so that its outage and our restart change nothing. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = dialect === 'sqlite' ? 'integer' : 'bigint';
  const strict = dialect === 'sqlite' ? 'strict' : '';
  await sql
    .raw(
      `create table foreign_bundles (
         trust_domain text not null primary key, url text not null, document text, sequence ${int},
         refresh_hint_seconds ${int} not null, fetched_at ${int}, tried_at ${int} not null, problem text) ${strict}`,
    )
    .execute(db);
}
