import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What is used of budgets, and what each call that runs has counted. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const wide = isSqlite ? 'strict' : '';
  const statements = [
    `create table budget_counters (
       id text not null primary key, budget text not null, label text not null, state text not null, used ${int} not null,
       updated_at ${int} not null, expires_at ${int} not null) ${wide}`,
    'create index budget_counters_used on budget_counters (budget, used desc, id)',
    'create index budget_counters_expiry on budget_counters (expires_at)',
    `create table budget_spends (
       action_id text not null, counter text not null, bucket ${int} not null, count ${int} not null, items ${int} not null,
       sum ${int} not null, expires_at ${int} not null, primary key (action_id, counter)) ${wide}`,
    'create index budget_spends_expiry on budget_spends (expires_at)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
