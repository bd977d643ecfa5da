import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

/**
 * What approvals and grants keep of arguments is erased with them, and an erasure ends at the records that were there when two people
 * agreed to it. What was erased before is erased in approvals now.
 */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const joined = dialect === 'sqlite' ? 'json_group_object' : 'json_object_agg';
  const erased = `select id from approvals where exists (select 1 from bodies where bodies.action_id = approvals.action_id
    and bodies.erased_at is not null)`;
  for (const statement of [
    'alter table approvals add column erasure text',
    'alter table standing_grants add column erasure text',
    "create index approvals_erasure on approvals (id) where erasure = 'due'",
    "create index standing_grants_erasure on standing_grants (id) where erasure = 'due'",
    'create index approvals_consumed on approvals (consumed_by) where consumed_by is not null',
    'create index standing_grants_approval on standing_grants (approval)',
    `update approvals set erasure = 'due' where id in (${erased})`,
    `update standing_grants set erasure = 'due' where approval in (${erased})`,
    'alter table erasures drop column position',
    'alter table erasures add column reached text',
    'alter table erasures add column bounds text',
    `update erasures set bounds = (select ${joined}(log, size) from (select log, max(sequence) + 1 as size from records
       where at <= erasures.agreed_at group by log) as sizes) where agreed_at is not null`,
  ])
    await sql.raw(statement).execute(db);
}
