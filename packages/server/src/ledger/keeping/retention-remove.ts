import { formatRanges } from '@gatehouse/verifier';
import { limits as platformLimits } from '../../platform/index.ts';
import type { DatabaseTransaction, Storage, Tables } from '../../storage/index.ts';
import { eraseBeside } from './bodies.ts';
import { keepingLimits as limits } from './limits.ts';
import { type RetentionDependencies, sequencesOf } from './retention-find.ts';
import type { OnRecord } from './retention-record.ts';
import { readRules } from './retention-rules.ts';
import { type Unit, unitsOf } from './retention-units.ts';

type Removal = Tables['removals'];

/** From here on the removal excuses nothing of what it names here: whoever takes that away is found. */
const keepOf = (removal: Removal, sequences: number[], why: string) => ({
  operation: 'retention.keep',
  by: 'gatehouse',
  action: removal.id,
  changes: [
    `${sequences.length} of ${removal.records} records kept after all: ${why}`,
    `log ${removal.log}, records ${formatRanges(sequences)}`,
  ],
});

function parted<T>(all: T[], isOfFirst: (each: T) => boolean): [T[], T[]] {
  const by = Map.groupBy(all, isOfFirst);
  return [by.get(true) ?? [], by.get(false) ?? []];
}

export async function liveReplicas(db: Storage['db'], now: number): Promise<string[]> {
  const deadline = now - platformLimits.replicaGoneSeconds * 1_000;
  const rows = await db.selectFrom('replicas').select('id').where('lease_until', '>', deadline).orderBy('id').execute();
  return rows.map(({ id }) => id);
}

/**
 * What goes is recorded first, a day before. Its content goes once a checkpoint that others are shown covers that record, so that whoever verifies finds the one
 * where the other is missing; a replica that dies in between leaves it to the next turn of any other.
 */
export function createRemoving(deps: RetentionDependencies) {
  const { storage, recordChange, clock } = deps;
  const { db } = storage;

  /** Removes the content of what was recorded together a day ago, once others can see the record. Says whether anything was done. */
  async function removeNext(onRecord: OnRecord): Promise<boolean> {
    const groups = await db
      .selectFrom('removals')
      .select(({ fn }) => ['recorded_log', 'recorded_at', fn.max<number>('recorded_sequence').as('last')])
      .where('removed_at', 'is', null)
      .groupBy(['recorded_log', 'recorded_at'])
      .orderBy('recorded_at')
      .limit(limits.removalsShown)
      .execute();
    const sizes = new Map<string, number>();
    for (const group of groups) {
      const log = group.recorded_log;
      const age = clock.now() - group.recorded_at;
      // Recorded by a clock that was put back since.
      if (age < -limits.clockLeapMs) return takeBack(group, 'the clock by which it was recorded was wrong');
      if (age < limits.announcedMs) continue;
      const size = sizes.get(log) ?? (await deps.shownSize(log));
      sizes.set(log, size);
      if (group.last < size) {
        if (await inOne(group, (transaction, open) => removeTogether(transaction, open, onRecord))) return true;
        continue;
      }
      if (await isGone(log)) return takeBack(group, 'its record was not signed before its replica ended');
    }
    return false;
  }

  type Together = Pick<Removal, 'recorded_log' | 'recorded_at'>;

  const inOne = <T>(of: Together, work: (transaction: DatabaseTransaction, open: Removal[]) => Promise<T>) =>
    storage.transaction(async (transaction) => {
      const open = await transaction
        .selectFrom('removals')
        .selectAll()
        .where('removed_at', 'is', null)
        .where('recorded_log', '=', of.recorded_log)
        .where('recorded_at', '=', of.recorded_at)
        .orderBy('id')
        .execute();
      return work(transaction, open);
    });

  /** Nobody will ever see the record of it: what it names stays, until a removal that somebody can see names it. */
  async function takeBack(of: Together, why: string): Promise<boolean> {
    await inOne(of, async (transaction, open) => {
      const now = clock.now();
      for (const removal of open) {
        await recordChange(transaction, keepOf(removal, sequencesOf(removal), why));
        await transaction
          .updateTable('removals')
          .set({ removed_at: now, unindexed_at: now, kept: removal.records, unpublish: 0 })
          .where('id', '=', removal.id)
          .execute();
        await transaction.deleteFrom('retention_marks').where('log', '=', removal.log).execute();
      }
    });
    return true;
  }

  async function isGone(log: string): Promise<boolean> {
    const row = await db.selectFrom('logs').select('replica').where('id', '=', log).executeTakeFirst();
    return row?.replica !== deps.replica && !(await liveReplicas(db, clock.now())).includes(row?.replica ?? '');
  }

  async function removeTogether(
    transaction: DatabaseTransaction,
    removals: Removal[],
    onRecord: OnRecord,
  ): Promise<boolean> {
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
    const rules = await readRules(transaction, deps.argumentsDays, onRecord);
    if (rules.problem !== null) return false;
    const units = await unitsOf(transaction, rules, [...actionIds], now);
    // A receiver that came since, or is sent all of it again, is waited for.
    if (units.some(({ verdict }) => verdict === 'unsent')) return false;
    // A hold, a longer class, or another record of the action may have come since.
    const going = units.filter(
      ({ verdict, rows }) => verdict === 'goes' && rows.every(({ log, sequence }) => named.has(`${log} ${sequence}`)),
    );
    const gone = new Set(going.flatMap(({ rows }) => rows.map(({ log, sequence }) => `${log} ${sequence}`)));
    for (const removal of removals) {
      const [sequences, kept] = parted(sequencesOf(removal), (sequence) => gone.has(`${removal.log} ${sequence}`));
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
      const set = { removed_at: now, kept: kept.length };
      await transaction.updateTable('removals').set(set).where('id', '=', removal.id).execute();
      if (kept.length > 0)
        await recordChange(transaction, keepOf(removal, kept, 'a hold, a longer class, or something not over'));
    }
    await removeBeside(transaction, going);
    return true;
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

  return { removeNext, unindexNext };
}
