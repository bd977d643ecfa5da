import type { ErasureReach, KeepingScope, LegalHold } from '@gatehouse/protocol';
import type { Database } from '../../storage/index.ts';
import { scopeFits } from './scope.ts';
import * as touched from './touched.ts';
import { type RecordOfAction, recordsOfActions, unheldOf } from './unheld.ts';
import { boundsNow, nextActions, type Place, recordOf } from './walk.ts';

/**
 * What an erasure of this would take, by the walk that takes it: nothing is changed by looking. It goes on for a moment, and says where the
 * next look goes on; an action counts where its first record stands, so that looks add up.
 */
export async function reachOf(
  db: Database,
  scope: KeepingScope,
  from: Place | null,
  { holds, forMs }: { holds: readonly LegalHold[]; forMs: number },
): Promise<{ reach: ErasureReach; next: Place | null }> {
  const [bounds, positions] = await Promise.all([
    boundsNow(db),
    db.selectFrom('sink_positions').select(['sink', 'log', 'sequence']).execute(),
  ]);
  const reach: ErasureReach = {
    ...{ actions: 0, held: 0, records: 0, arguments: 0, results: 0, approvals: 0, grants: 0, endorsements: 0 },
    ...{ heldResults: 0, tasks: 0, unknownCalls: 0, budgets: 0, deliveries: 0, exported: [] },
  };
  const exported = new Map<string, number>();
  const counted = new Set<string>();
  const until = performance.now() + forMs;
  let place = from;
  for (let isFirst = true; isFirst || (place !== null && performance.now() < until); isFirst = false) {
    const start: Place | null = place;
    const { actionIds, next } = await nextActions(db, scope, bounds, start);
    const records = await recordsOfActions(db, actionIds);
    const known = new Set(
      records.flatMap((record) => (start && isBefore(record, start, scope) ? record.action_id : [])),
    );
    const own = actionIds.filter((id) => !known.has(id));
    const free = unheldOf(own, records, holds);
    reach.actions += own.length;
    reach.held += own.length - free.length;
    for (const { log, sequence } of records.filter(({ action_id }) => free.includes(action_id))) {
      reach.records++;
      for (const position of positions)
        if (position.log === log && Number(sequence) < Number(position.sequence))
          exported.set(position.sink, (exported.get(position.sink) ?? 0) + 1);
    }
    await countBeside(db, free, reach, counted);
    place = next;
  }
  reach.exported = [...exported]
    .map(([sink, records]) => ({ sink, records }))
    .sort((a, b) => (a.sink < b.sink ? -1 : 1));
  return { reach, next: place };
}

/** It was looked at before. */
function isBefore({ log, sequence, entry }: RecordOfAction, place: Place, scope: KeepingScope): boolean {
  if (log > place.log || (log === place.log && Number(sequence) >= place.sequence)) return false;
  const record = recordOf(entry);
  return record !== null && scopeFits(scope, record);
}

async function countBeside(db: Database, actionIds: readonly string[], reach: ErasureReach, counted: Set<string>) {
  if (actionIds.length === 0) return;
  const [bodies, held, tasks, calls, counters, approvals] = await Promise.all([
    db.selectFrom('bodies').select('kind').where(touched.bodiesOf(actionIds)).execute(),
    db.selectFrom('held_results').select('id').where(touched.heldResultsOf(actionIds)).execute(),
    db.selectFrom('waiting_tasks').select('id').where(touched.endedTasksOf(actionIds)).execute(),
    db.selectFrom('open_calls').select('action_id').where(touched.toldCallsOf(actionIds)).execute(),
    db.selectFrom('budget_counters').select('id').where(touched.shownCountersOf(actionIds)).execute(),
    db.selectFrom('approvals').select(['id', 'erasure']).where(touched.approvalsOf(actionIds)).execute(),
  ]);
  /** Of what several actions share. */
  const fresh = (kind: string, ids: readonly string[]) =>
    ids.filter((id) => {
      const key = `${kind} ${id}`;
      return !counted.has(key) && counted.add(key);
    });
  reach.arguments += bodies.filter(({ kind }) => kind === 'arguments').length;
  reach.results += bodies.filter(({ kind }) => kind === 'result').length;
  reach.heldResults += held.length;
  reach.tasks += tasks.length;
  reach.unknownCalls += calls.length;
  reach.budgets += fresh(
    'counter',
    counters.map(({ id }) => id),
  ).length;
  const asked = fresh(
    'approval',
    approvals.map(({ id }) => id),
  );
  reach.approvals += approvals.filter(({ id, erasure }) => erasure !== 'done' && asked.includes(id)).length;
  if (asked.length === 0) return;
  const [grants, answers, endorsements] = await Promise.all([
    db.selectFrom('standing_grants').select('id').where(touched.grantsOf(asked)).execute(),
    db.selectFrom('deliveries').select('id').where(touched.answersOf(asked)).execute(),
    db.selectFrom('flow_endorsements').select('id').where(touched.endorsementsOf(asked)).execute(),
  ]);
  reach.grants += grants.length;
  reach.deliveries += answers.length;
  reach.endorsements += endorsements.length;
}
