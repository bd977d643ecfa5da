import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import type { Tables } from '../../storage/index.ts';

/**
 * What an erasure of actions takes, table by table. Counted by the same conditions for whoever looks before they agree (`reach.ts`) as are
 * then used to take it (`bodies.ts`).
 */
type Where<Table extends keyof Tables> = (eb: ExpressionBuilder<Tables, Table>) => Expression<SqlBool>;

export const bodiesOf =
  (actionIds: readonly string[]): Where<'bodies'> =>
  (eb) =>
    eb.and([eb('action_id', 'in', actionIds), eb('body', 'is not', null)]);

/** One that waits still needs its call, and is gone an hour after its end by itself. */
export const endedTasksOf =
  (actionIds: readonly string[]): Where<'waiting_tasks'> =>
  (eb) =>
    eb.and([eb('action_id', 'in', actionIds), eb('state', '!=', 'waiting')]);

export const heldResultsOf =
  (actionIds: readonly string[]): Where<'held_results'> =>
  (eb) =>
    eb('action_id', 'in', actionIds);

/** Calls of which nobody knows whether they ran, of which something is written in words. */
export const toldCallsOf =
  (actionIds: readonly string[]): Where<'open_calls'> =>
  (eb) =>
    eb.and([eb('action_id', 'in', actionIds), eb.or([eb('detail', 'is not', null), eb('note', 'is not', null)])]);

export const shownCountersOf =
  (actionIds: readonly string[]): Where<'budget_counters'> =>
  (eb) =>
    eb.and([
      eb(
        'id',
        'in',
        eb
          .selectFrom('budget_spends')
          .select('budget_spends.counter')
          .where('budget_spends.action_id', 'in', actionIds),
      ),
      eb('label', '!=', 'erased'),
    ]);

export const approvalsOf =
  (actionIds: readonly string[]): Where<'approvals'> =>
  (eb) =>
    eb.or([eb('action_id', 'in', actionIds), eb('consumed_by', 'in', actionIds)]);

export const grantsOf =
  (approvals: readonly string[]): Where<'standing_grants'> =>
  (eb) =>
    eb.and([eb('approval', 'in', approvals), eb('erasure', 'is', null)]);

/** What a channel answered may repeat what it was told. */
export const answersOf =
  (approvals: readonly string[]): Where<'deliveries'> =>
  (eb) =>
    eb.and([eb('approval', 'in', approvals), eb('error', 'is not', null)]);

export const endorsementsOf =
  (approvals: readonly string[]): Where<'flow_endorsements'> =>
  (eb) =>
    eb('approval', 'in', approvals);
