import { type Kysely, sql } from 'kysely';
import { type Json, saltedDigest } from '../../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../../storage/index.ts';
import { keepingLimits as limits } from './limits.ts';
import {
  answersOf,
  approvalsOf,
  bodiesOf,
  endedTasksOf,
  endorsementsOf,
  grantsOf,
  heldResultsOf,
  shownCountersOf,
  toldCallsOf,
} from './touched.ts';

/** Approvals that may still let something run need what they are about. */
const OPEN_APPROVALS = ['pending', 'approved'];

/**
 * Removes the arguments of actions with the salt of their digest, what approvals and grants have kept of them, and what else says something
 * of them. The records stay as they were hashed. Gives how many bodies are gone.
 */
export async function eraseBodies(transaction: DatabaseTransaction, actionIds: string[], now: number): Promise<number> {
  if (actionIds.length === 0) return 0;
  // Of those that an action has of one kind, each with a salt, one row says that there was something.
  const { numDeletedRows } = await transaction
    .deleteFrom('bodies')
    .where(bodiesOf(actionIds))
    .where(
      sql<boolean>`exists (select 1 from bodies as other where other.action_id = bodies.action_id and other.kind = bodies.kind
        and other.salt < bodies.salt)`,
    )
    .executeTakeFirst();
  const { numUpdatedRows } = await transaction
    .updateTable('bodies')
    .set({ body: null, salt: new Uint8Array(), erased_at: now })
    .where(bodiesOf(actionIds))
    .executeTakeFirst();
  await eraseBeside(transaction, actionIds);
  const asked = (await transaction.selectFrom('approvals').select('id').where(approvalsOf(actionIds)).execute()).map(
    ({ id }) => id,
  );
  if (asked.length > 0) {
    const due = { erasure: 'due' };
    await transaction.updateTable('approvals').set(due).where('id', 'in', asked).where('erasure', 'is', null).execute();
    await transaction.updateTable('standing_grants').set(due).where(grantsOf(asked)).execute();
    await transaction.updateTable('deliveries').set({ error: null }).where(answersOf(asked)).execute();
    await eraseKept(transaction, now);
  }
  return Number(numUpdatedRows + numDeletedRows);
}

/**
 * A result that waits for a person goes, and a call that ran as an MCP task with what came of it. A call of which nobody knows whether it ran
 * stands in the way of its repetition by digests with a key, which say nothing: what was written of it in words goes. Counters of budgets stay, and lose what they are shown as until they count again.
 */
export async function eraseBeside(transaction: DatabaseTransaction, actionIds: string[]): Promise<void> {
  await transaction.deleteFrom('held_results').where(heldResultsOf(actionIds)).execute();
  const over = transaction.selectFrom('waiting_tasks').select('id').where(endedTasksOf(actionIds));
  await transaction
    .deleteFrom('fences')
    .where('key', 'in', over.clearSelect().select(sql<string>`'waiting:' || id`.as('key')))
    .execute();
  await transaction.deleteFrom('waiting_tasks').where('id', 'in', over).execute();
  await transaction.updateTable('open_calls').set({ detail: null, note: null }).where(toldCallsOf(actionIds)).execute();
  await transaction.updateTable('budget_counters').set({ label: 'erased' }).where(shownCountersOf(actionIds)).execute();
}

/**
 * Removes arguments from approvals and grants once these are over and no body of what they were about is left: the same arguments stay
 * where another action has them that is kept. Says whether there may be more.
 */
export async function eraseKept(transaction: DatabaseTransaction, now: number): Promise<boolean> {
  const approvals = await transaction
    .selectFrom('approvals')
    .select(['id', 'body'])
    .where('erasure', '=', 'due')
    .where('state', 'not in', OPEN_APPROVALS)
    .where(noBodyOf('approvals'))
    .where(noEndorsementOf)
    .limit(limits.actionsAtOnce)
    .execute();
  if (approvals.length > 0)
    await transaction
      .deleteFrom('flow_endorsements')
      .where(endorsementsOf(approvals.map(({ id }) => id)))
      .execute();
  for (const { id, body } of approvals) {
    const { subject, ...rest } = JSON.parse(body) as { subject: Subject; origins?: unknown };
    // Where values came from says the values.
    const left = {
      ...rest,
      subject: withoutArguments(subject),
      ...(rest.origins !== undefined && { origins: [] }),
    };
    await transaction
      .updateTable('approvals')
      .set({ body: JSON.stringify(left), erasure: 'done' })
      .where('id', '=', id)
      .execute();
  }
  const grants = await transaction
    .selectFrom('standing_grants')
    .innerJoin('approvals as asked', 'asked.id', 'standing_grants.approval')
    .select(['standing_grants.id', 'standing_grants.subject'])
    .where('standing_grants.erasure', '=', 'due')
    .where(({ or, eb }) =>
      or([eb('standing_grants.ended_at', 'is not', null), eb('standing_grants.expires_at', '<=', now)]),
    )
    .where(noBodyOf('asked'))
    .limit(limits.actionsAtOnce)
    .execute();
  for (const { id, subject } of grants) {
    const left = withoutArguments(JSON.parse(subject) as Subject);
    await transaction
      .updateTable('standing_grants')
      .set({ subject: JSON.stringify(left), erasure: 'done' })
      .where('id', '=', id)
      .execute();
  }
  return approvals.length === limits.actionsAtOnce || grants.length === limits.actionsAtOnce;
}

interface Subject {
  arguments: Json;
  /** Absent in approvals from before arguments had one. */
  argumentsSalt?: string;
}

/** The salt goes with the arguments; the digest that is left says nothing of them, and is still what was signed. */
function withoutArguments({ argumentsSalt: salt, ...subject }: Subject) {
  return {
    ...subject,
    arguments: null,
    ...(salt !== undefined && { argumentsDigest: saltedDigest(subject.arguments, salt) }),
  };
}

/** How many approvals and grants still need what is to be erased in them. */
export async function keptStill(transaction: DatabaseTransaction): Promise<number> {
  let kept = 0;
  for (const table of ['approvals', 'standing_grants'] as const) {
    const row = await (transaction as Kysely<Pick<Tables, 'approvals'>>)
      .selectFrom(table as 'approvals')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('erasure', '=', 'due')
      .executeTakeFirstOrThrow();
    kept += Number(row.count);
  }
  return kept;
}

/** Values that were endorsed with it are looked at for as long as their task goes on. */
const noEndorsementOf = sql<boolean>`not exists (select 1 from flow_endorsements inner join tasks on tasks.id = flow_endorsements.task
  where flow_endorsements.approval = approvals.id and tasks.state = 'active')`;

const noBodyOf = (
  asked: 'approvals' | 'asked',
) => sql<boolean>`not exists (select 1 from bodies where bodies.body is not null
  and bodies.action_id in (${sql.ref(`${asked}.action_id`)}, ${sql.ref(`${asked}.consumed_by`)}))`;
