import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** Whole records go by class: what was removed and by which record, how far each log was looked through, and who agreed to short times. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const strict = isSqlite ? 'strict' : '';
  for (const statement of [
    `create table removals (
       id text not null primary key, log text not null, first ${int} not null, last ${int} not null, ranges text not null,
       records ${int} not null, kept ${int} not null, rule text not null, unpublish ${int} not null, recorded_log text not null,
       recorded_sequence ${int} not null, recorded_at ${int} not null, removed_at ${int}, unindexed_at ${int}, published_at ${int}) ${strict}`,
    'create index removals_place on removals (log, last)',
    'create index removals_open on removals (id) where unindexed_at is null',
    'create index removals_published on removals (id) where published_at is null and unpublish = 1',
    `create table retention_marks (
       log text not null, days ${int} not null, version text not null, sequence ${int} not null, primary key (log, days)) ${strict}`,
    `create table retention_agreements (
       class text not null, digest text not null, person text not null, at ${int} not null, primary key (class, digest, person)) ${strict}`,
  ])
    await sql.raw(statement).execute(db);
}
