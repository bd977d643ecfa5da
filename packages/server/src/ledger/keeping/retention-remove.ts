import { formatRanges, parseRanges, removalDigest } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { type Clock, newId } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage, Tables } from '../../storage/index.ts';
import { eraseBeside } from './bodies.ts';
import { keepingLimits as limits } from './limits.ts';
import { type RetentionRules, readRules } from './retention-rules.ts';
import { type Unit, unitsOf } from './retention-units.ts';
import { recordOf } from './walk.ts';

export interface RetentionDependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  replica: string;
  /** For actions that no class says anything of; null: for ever. */
  argumentsDays: number | null;
  /** How many records of a log others can see that they were signed. */
  shownSize(log: string): Promise<number>;
  /** Makes records unfindable. */
  unindex(places: { log: string; sequence: number }[]): Promise<void>;
}

type Removal = Tables['removals'];

const DAY_MS = 86_400_000;

export const sequencesOf = ({ ranges }: Pick<Removal, 'ranges'>): number[] =>
  (parseRanges(ranges) ?? []).flatMap(([from, to]) => Array.from({ length: to - from }, (_, at) => from + at));

/**
 * What goes is recorded first. Its content goes once a checkpoint that others are shown covers that record, so that whoever verifies finds the one
 * where the other is missing; a replica that dies in between leaves it to the next turn of any other.
 */
export function createRemoving(deps: RetentionDependencies) {
  const { storage, recordChange, clock } = deps;
  const { db } = storage;

  /** Marks of other rules count for nothing: what was kept by these may go by those. */
  async function markOf(log: string, days: number, version: string): Promise<number> {
    const mark = await db
      .selectFrom('retention_marks')
      .select(['version', 'sequence'])
      .where('log', '=', log)
      .where('days', '=', days)
      .executeTakeFirst();
    return mark?.version === version ? mark.sequence : 0;
  }

  /** The next actions of a log of which something is kept for just so long, or less, and is older. `next` null: no more are old enough. */
  async function candidates(rules: RetentionRules, log: string, days: number, from: number) {
    const cutoff = clock.now() - days * DAY_MS;
    const within = db
      .selectFrom('records')
      .where('log', '=', log)
      .where('sequence', '>=', from)
      .where('sequence', '<', from + limits.recordsSkipped)
      .where('entry', '<>', '')
      .orderBy('sequence');
    const first = await within.select(['sequence', 'at']).limit(1).executeTakeFirst();
    if (!first) {
      const last = await db
        .selectFrom('records')
        .select('sequence')
        .where('log', '=', log)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      const isEnd = (last?.sequence ?? -1) < from + limits.recordsSkipped;
      return { actionIds: [], next: isEnd ? null : from + limits.recordsSkipped };
    }
    if (first.at >= cutoff) return { actionIds: [], next: null };
    const rows = await within.select(['sequence', 'at', 'action_id', 'entry']).limit(limits.recordsAtOnce).execute();
    const found = new Set<string>();
    let next: number | null = null;
    for (const { sequence, at, action_id, entry } of rows) {
      if (at >= cutoff || found.size === limits.actionsAtOnce)
        return { actionIds: [...found], next, isEnd: at >= cutoff };
      const record = recordOf(entry);
      const kept = record && rules.recordKept(record);
      // What was said of an action last may be what it was waiting for.
      if (record && (!kept || kept.days <= days)) found.add(action_id);
      next = sequence + 1;
    }
    return { actionIds: [...found], next, isEnd: false };
  }

  /** Records the removal of what is due in the next part of a log. Says whether there may be more. */
  async function recordNext(rules: RetentionRules, log: string, days: number): Promise<boolean> {
    const from = await markOf(log, days, rules.version);
    const { actionIds, next, isEnd = true } = await candidates(rules, log, days, from);
    if (next === null) return false;
    await storage.transaction(async (transaction) => {
      const now = clock.now();
      const mark = { version: rules.version, sequence: next };
      const current = await readRules(transaction, deps.argumentsDays);
      const before = await transaction
        .selectFrom('retention_marks')
        .select(['version', 'sequence'])
        .where('log', '=', log)
        .where('days', '=', days)
        .executeTakeFirst();
      // Others have looked through this part, or the rules are others by now: the next turn begins with what stands then.
      if (current.version !== rules.version) return;
      if ((before?.version === rules.version ? before.sequence : 0) !== from) return;
      await transaction
        .insertInto('retention_marks')
        .values({ log, days, ...mark })
        .onConflict((conflict) => conflict.columns(['log', 'days']).doUpdateSet(mark))
        .execute();
      const underWay = await namedAlready(transaction);
      const going = (await unitsOf(transaction, rules, actionIds, now)).filter(
        ({ verdict, rows }) =>
          verdict === 'goes' && !rows.some(({ log: of, sequence }) => underWay.has(`${of} ${sequence}`)),
      );
      for (const group of Map.groupBy(going, ({ leavesPublished }) => leavesPublished).values())
        await recordRemovals(transaction, group, rules.version, now);
    });
    return !isEnd;
  }

  async function namedAlready(transaction: DatabaseTransaction): Promise<Set<string>> {
    const open = await transaction
      .selectFrom('removals')
      .select(['log', 'ranges'])
      .where('removed_at', 'is', null)
      .execute();
    return new Set(open.flatMap((each) => sequencesOf(each).map((sequence) => `${each.log} ${sequence}`)));
  }

  async function recordRemovals(transaction: DatabaseTransaction, units: Unit[], version: string, now: number) {
    const days = Math.max(...units.map((unit) => unit.days));
    const classes = [...new Set(units.flatMap((unit) => unit.classes))].sort().join(' ');
    const rule = `kept ${days} days by ${classes}, rules ${version}`;
    const byLog = Map.groupBy(
      units.flatMap(({ rows }) => rows),
      (row) => row.log,
    );
    for (const [log, rows] of byLog) {
      rows.sort((a, b) => a.sequence - b.sequence);
      for (let at = 0; at < rows.length; at += limits.recordsOfRemoval) {
        const part = rows.slice(at, at + limits.recordsOfRemoval);
        const id = newId('rem', now);
        const ranges = formatRanges(part.map(({ sequence }) => sequence));
        const digest = removalDigest(
          part.map(({ leaf_hash }) => Uint8Array.from(leaf_hash)),
          nodeSha256,
        );
        await recordChange(transaction, {
          operation: 'retention.remove',
          by: 'gatehouse',
          action: id,
          changes: [rule, `log ${log}, records ${ranges}, leaf hashes sha256-${digest}`],
        });
        const said = await transaction
          .selectFrom('records')
          .select(['log', 'sequence'])
          .where('action_id', '=', id)
          .executeTakeFirstOrThrow();
        await transaction
          .insertInto('removals')
          .values({
            ...{ id, log, ranges, rule, first: part[0]?.sequence ?? 0, last: part.at(-1)?.sequence ?? 0 },
            ...{ records: part.length, kept: 0, unpublish: units[0]?.leavesPublished ? 0 : 1 },
            ...{ recorded_log: said.log, recorded_sequence: said.sequence, recorded_at: now },
            ...{ removed_at: null, unindexed_at: null, published_at: null },
          })
          .execute();
      }
    }
  }

  /** Removes the content of what was recorded together, once others can see the record. Says whether anything was done. */
  async function removeNext(): Promise<boolean> {
    const oldest = await db
      .selectFrom('removals')
      .selectAll()
      .where('removed_at', 'is', null)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    if (!oldest) return false;
    const together = await db
      .selectFrom('removals')
      .selectAll()
      .where('removed_at', 'is', null)
      .where('recorded_log', '=', oldest.recorded_log)
      .where('recorded_at', '=', oldest.recorded_at)
      .execute();
    const size = await deps.shownSize(oldest.recorded_log);
    if (together.some(({ recorded_sequence }) => recorded_sequence >= size)) return false;
    await storage.transaction(async (transaction) => {
      const ids = together.map(({ id }) => id);
      const open = await transaction
        .selectFrom('removals')
        .selectAll()
        .where('id', 'in', ids)
        .where('removed_at', 'is', null)
        .execute();
      await removeTogether(transaction, open);
    });
    return true;
  }

  async function removeTogether(transaction: DatabaseTransaction, removals: Removal[]): Promise<void> {
    const now = clock.now();
    const named = new Set<string>();
    const actionIds = new Set<string>();
    for (const removal of removals) {
      const sequences = sequencesOf(removal);
      for (const sequence of sequences) named.add(`${removal.log} ${sequence}`);
      const rows = await transaction
        .selectFrom('records')
        .select('action_id')
        .where('log', '=', removal.log)
        .where('sequence', 'in', sequences)
        .where('entry', '<>', '')
        .execute();
      for (const { action_id } of rows) actionIds.add(action_id);
    }
    const rules = await readRules(transaction, deps.argumentsDays);
    // A hold, a longer class, or another record of the action may have come since.
    const going = (await unitsOf(transaction, rules, [...actionIds], now)).filter(
      ({ verdict, rows }) => verdict === 'goes' && rows.every(({ log, sequence }) => named.has(`${log} ${sequence}`)),
    );
    const gone = new Set(going.flatMap(({ rows }) => rows.map(({ log, sequence }) => `${log} ${sequence}`)));
    for (const removal of removals) {
      const sequences = sequencesOf(removal).filter((sequence) => gone.has(`${removal.log} ${sequence}`));
      const kept = removal.records - sequences.length;
      if (sequences.length > 0)
        await transaction
          .updateTable('records')
          .set({
            ...{
              kind: 'removed',
              action_id: '',
              operation: '',
              entry: '',
              agent: null,
              task: null,
              person: null,
              tool: null,
            },
            ...{ resource: null, effect: null, result: null, approval: null, ticket: null },
          })
          .where('log', '=', removal.log)
          .where('sequence', 'in', sequences)
          .execute();
      await transaction.updateTable('removals').set({ removed_at: now, kept }).where('id', '=', removal.id).execute();
      if (kept > 0)
        await recordChange(transaction, {
          operation: 'retention.keep',
          by: 'gatehouse',
          changes: [`${removal.id}: ${kept} of ${removal.records} records kept after all, by a hold or a longer class`],
        });
    }
    await removeBeside(transaction, going);
  }

  /** What else is known of actions only for their records' sake. */
  async function removeBeside(transaction: DatabaseTransaction, units: Unit[]): Promise<void> {
    const actions = units.flatMap((unit) => [...unit.actions]);
    const approvals = units.flatMap((unit) => unit.approvals);
    if (actions.length > 0) {
      await eraseBeside(transaction, actions);
      await transaction.deleteFrom('bodies').where('action_id', 'in', actions).execute();
      await transaction.deleteFrom('open_calls').where('action_id', 'in', actions).execute();
    }
    if (approvals.length > 0) {
      await transaction.deleteFrom('approval_votes').where('approval', 'in', approvals).execute();
      await transaction.deleteFrom('deliveries').where('approval', 'in', approvals).execute();
      await transaction.deleteFrom('approval_looks').where('approval', 'in', approvals).execute();
      await transaction.deleteFrom('mail_links').where('approval', 'in', approvals).execute();
      await transaction.deleteFrom('approvals').where('id', 'in', approvals).execute();
    }
    // Who asked for a task, and for what, stands in the record of its start.
    const tasks = units.flatMap(({ rows }) =>
      rows.flatMap(({ record }) => (record?.operation === 'task.start' && record.task !== null ? [record.task] : [])),
    );
    if (tasks.length > 0)
      await transaction
        .updateTable('tasks')
        .set({
          ...{
            intent: '',
            parameters: '{}',
            on_behalf_of: null,
            requested_by: null,
            ticket: null,
            change_request: null,
          },
        })
        .where('id', 'in', tasks)
        .where('state', '<>', 'active')
        .execute();
  }

  let unindexed = '';

  /** What is gone can't be found any more. One that fails is tried again after the others. */
  async function unindexNext(): Promise<boolean> {
    const open = db
      .selectFrom('removals')
      .selectAll()
      .where('removed_at', 'is not', null)
      .where('unindexed_at', 'is', null)
      .orderBy('id')
      .limit(1);
    const removal = (await open.where('id', '>', unindexed).executeTakeFirst()) ?? (await open.executeTakeFirst());
    if (!removal) return false;
    unindexed = removal.id;
    const rows = await db
      .selectFrom('records')
      .select(['log', 'sequence'])
      .where('log', '=', removal.log)
      .where('sequence', 'in', sequencesOf(removal))
      .where('entry', '=', '')
      .execute();
    await deps.unindex(rows);
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('removals')
        .set({ unindexed_at: clock.now() })
        .where('id', '=', removal.id)
        .execute();
    });
    return true;
  }

  return { recordNext, removeNext, unindexNext, candidates, markOf };
}
