import { formatRanges, parseRanges, removalDigest } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { type Clock, newId } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage, Tables } from '../../storage/index.ts';
import type { ClockDoubt } from './clock-doubt.ts';
import { keepingLimits as limits } from './limits.ts';
import type { OnRecord } from './retention-record.ts';
import { type RetentionRules, readRules } from './retention-rules.ts';
import { type Unit, unitsOf } from './retention-units.ts';
import { unsentOf } from './unsent.ts';
import { recordOf } from './walk.ts';

export interface RetentionDependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
  replica: string;
  /** For actions that no class says anything of; null: for ever. */
  argumentsDays: number | null;
  clockDoubt: ClockDoubt;
  /** This replica's own, from which all others are known. */
  ownLog: { id: string; vkey: string };
  /** How many records of a log others can see that they were signed. */
  shownSize(log: string): Promise<number>;
  /** Makes records unfindable. */
  unindex(places: { log: string; sequence: number }[]): Promise<void>;
}

const DAY_MS = 86_400_000;

export const sequencesOf = ({ ranges }: Pick<Tables['removals'], 'ranges'>): number[] =>
  (parseRanges(ranges) ?? []).flatMap(([from, to]) => Array.from({ length: to - from }, (_, at) => from + at));

/** How far a log was looked through, and when of the oldest that was passed over for being younger. */
type Place = Pick<Tables['retention_marks'], 'sequence' | 'again'>;

/** Finds what is due and records that it goes. */
export function createFinding(deps: RetentionDependencies) {
  const { storage, recordChange, clock } = deps;
  const { db } = storage;

  const standingOf = (mark: Tables['retention_marks'], days: number, version: string): Place =>
    mark.version === version && (mark.again === null || mark.again >= clock.now() - days * DAY_MS)
      ? { sequence: mark.sequence, again: mark.again }
      : { sequence: 0, again: null };

  /** Marks of other rules count for nothing: what was kept by these may go by those. */
  async function markOf(log: string, days: number, version: string): Promise<Place> {
    const mark = await db
      .selectFrom('retention_marks')
      .selectAll()
      .where('log', '=', log)
      .where('days', '=', days)
      .executeTakeFirst();
    return mark ? standingOf(mark, days, version) : { sequence: 0, again: null };
  }

  /** The next actions of a log of which something is kept for just so long, or less, and is older. `next` null: no more are old enough. */
  async function candidates(rules: RetentionRules, log: string, days: number, from: number) {
    const cutoff = clock.now() - days * DAY_MS;
    const unsent = await unsentOf(db);
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
      return { actionIds: [], next: isEnd ? null : from + limits.recordsSkipped, again: null };
    }
    // Where clocks went back, old records stand behind younger ones: those wait for their own time, and nothing waits for them.
    const newestOld = await db
      .selectFrom('records')
      .select('sequence')
      .where('log', '=', log)
      .where('at', '<', cutoff)
      .orderBy('at', 'desc')
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst();
    const isYoung = ({ sequence, at }: { sequence: number; at: number }) =>
      at >= cutoff && sequence > (newestOld?.sequence ?? -1);
    // What comes behind is not taken either: all of it is looked at again.
    const waitsFor = (row: { sequence: number; at: number }) => unsent(log, row.sequence, row.at);
    const stops = (row: { sequence: number; at: number }) => isYoung(row) || waitsFor(row).length > 0;
    if (stops(first))
      return { actionIds: [], next: null, again: null, waitsFor: isYoung(first) ? [] : waitsFor(first) };
    const rows = await within.select(['sequence', 'at', 'action_id', 'entry']).limit(limits.recordsAtOnce).execute();
    const found = new Set<string>();
    let next: number | null = null;
    let again: number | null = null;
    for (const row of rows) {
      const { sequence, at, action_id, entry } = row;
      if (stops(row) || found.size === limits.actionsAtOnce)
        return { actionIds: [...found], next, again, isEnd: stops(row), waitsFor: isYoung(row) ? [] : waitsFor(row) };
      next = sequence + 1;
      if (at >= cutoff) {
        again = Math.min(again ?? at, at);
        continue;
      }
      const record = recordOf(entry);
      const kept = record && rules.recordKept(record);
      // What was said of an action last may be what it was waiting for.
      if (record && (!kept || kept.days <= days)) found.add(action_id);
    }
    return { actionIds: [...found], next, again, isEnd: false };
  }

  /** Records the removal of what is due in the next part of a log. Says whether there may be more. */
  async function recordNext(rules: RetentionRules, onRecord: OnRecord, log: string, days: number): Promise<boolean> {
    const from = await markOf(log, days, rules.marks);
    const { actionIds, next, again, isEnd = true } = await candidates(rules, log, days, from.sequence);
    if (next === null) return false;
    const isAdvanced = await storage.transaction(async (transaction) => {
      const now = clock.now();
      const times = [from.again, again].filter((at) => at !== null);
      const mark = { version: rules.marks, sequence: next, again: times.length > 0 ? Math.min(...times) : null };
      const current = await readRules(transaction, deps.argumentsDays, onRecord);
      const before = await transaction
        .selectFrom('retention_marks')
        .selectAll()
        .where('log', '=', log)
        .where('days', '=', days)
        .executeTakeFirst();
      // Others have looked through this part, or the rules are others by now: the next turn begins with what stands then.
      if (current.problem !== null || current.marks !== rules.marks) return true;
      if ((before ? standingOf(before, days, rules.marks).sequence : 0) !== from.sequence) return true;
      const units = await unitsOf(transaction, rules, actionIds, now);
      // A part of one stands in another log, which a receiver has not come to.
      if (units.some(({ verdict }) => verdict === 'unsent')) return false;
      await transaction
        .insertInto('retention_marks')
        .values({ log, days, ...mark })
        .onConflict((conflict) => conflict.columns(['log', 'days']).doUpdateSet(mark))
        .execute();
      const due = units.filter(({ verdict }) => verdict === 'goes');
      const underWay = await namedAlready(transaction, due);
      const going = due.filter(({ rows }) => !rows.some(({ log: of, sequence }) => underWay.has(`${of} ${sequence}`)));
      for (const group of Map.groupBy(going, ({ leavesPublished }) => leavesPublished).values())
        await recordRemovals(transaction, group, rules.version, now);
      return true;
    });
    return isAdvanced && !isEnd;
  }

  async function namedAlready(transaction: DatabaseTransaction, units: Unit[]): Promise<Set<string>> {
    const named = new Set<string>();
    const places = units.flatMap(({ rows }) => rows);
    for (const [log, rows] of Map.groupBy(places, (row) => row.log)) {
      const sequences = rows.map(({ sequence }) => sequence);
      const open = await transaction
        .selectFrom('removals')
        .select('ranges')
        .where('removed_at', 'is', null)
        .where('log', '=', log)
        .where('last', '>=', Math.min(...sequences))
        .where('first', '<=', Math.max(...sequences))
        .execute();
      for (const each of open) for (const sequence of sequencesOf(each)) named.add(`${log} ${sequence}`);
    }
    return named;
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

  return { recordNext, candidates, markOf };
}
