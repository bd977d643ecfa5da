import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/** What the inbox is ordered by, and what an approval is compared with. Those from before are compared with nothing. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const isSqlite = dialect === 'sqlite';
  const int = isSqlite ? 'integer' : 'bigint';
  const statements = [
    "alter table approvals add column tool text not null default ''",
    `alter table approvals add column risk ${int} not null default 0`,
    'create index approvals_risk on approvals (state, risk, id)',
    'create index approvals_kind on approvals (agent, tool, decided_at)',
    'create index approval_votes_at on approval_votes (at, approval, number)',
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}
