import {
  decodeEntryBundle,
  encodeEntryBundle,
  formatRanges,
  type Removal,
  removalDigest,
  removalIn,
  TILE_WIDTH,
  tilePath,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import type { Clock } from '../platform/index.ts';
import type { RecordChange, Storage, Tables } from '../storage/index.ts';
import { ledgerLimits as limits } from './limits.ts';
import type { PublishingPlace } from './publishing-places.ts';

type Row = Tables['removals'];

/**
 * Takes what retention has removed out of the copies that are published: those entries have no bytes then, and nothing else changes. Only
 * once the record that says so is in the same place, so that whoever verifies the copy finds it. Each replica does it for its own log;
 * for another's only where that one has not done it for long, and its log is published in this place.
 */
export function createUnpublishing(deps: {
  place: PublishingPlace;
  storage: Pick<Storage, 'db' | 'transaction'>;
  recordChange: RecordChange;
  logId: string;
  clock: Clock;
  prefixOf(log: string): string;
}) {
  const { place, storage, logId, clock, prefixOf } = deps;
  const { db } = storage;
  let lookedAt = 0;

  const due = (log: string, recordedLog: string, removedBefore: number) =>
    db
      .selectFrom('removals')
      .selectAll()
      .where('unpublish', '=', 1)
      .where('published_at', 'is', null)
      .where('removed_at', '<=', removedBefore)
      .where('log', '=', log)
      .where('recorded_log', '=', recordedLog)
      .orderBy('id')
      .limit(limits.unpublishedAtOnce);

  /** `size`: how many records of the own log are published. */
  async function turn(size: number): Promise<void> {
    const now = clock.now();
    const isFull = now >= lookedAt + limits.othersLookedAtEveryMs;
    if (isFull) lookedAt = now;
    const pairs = await db
      .selectFrom('removals')
      .select(['log', 'recorded_log'])
      .distinct()
      .where('unpublish', '=', 1)
      .where('published_at', 'is', null)
      .where('removed_at', 'is not', null)
      .execute();
    for (const { log, recorded_log } of pairs) {
      const isOwn = log === logId;
      // What concerns other logs costs a look at the place.
      if (!isFull && !(isOwn && recorded_log === logId)) continue;
      const there = isOwn ? size : await sizeOf(log);
      if (there === 0) continue;
      const removedBefore = isOwn ? now : now - limits.unpublishForOthersAfterMs;
      const said = recorded_log === logId ? size : await sizeOf(recorded_log);
      const told = await due(log, recorded_log, removedBefore).where('recorded_sequence', '<', said).execute();
      await takeOut(log, there, told);
      if (recorded_log === logId) continue;
      const untold = await due(log, recorded_log, Math.min(removedBefore, now - limits.recordedAgainAfterMs))
        .where('recorded_sequence', '>=', said)
        .execute();
      for (const row of untold) await recordAgain(row);
    }
  }

  /** Zero where that log is not published here. */
  async function sizeOf(log: string): Promise<number> {
    const [origin, count] = ((await place.read(`${prefixOf(log)}/checkpoint`)) ?? '').toString().split('\n');
    return origin === log && /^\d{1,15}$/.test(count ?? '') ? Number(count) : 0;
  }

  /** What the log says of it: of what is in the table alone nothing is believed. */
  async function recordOf({ log, recorded_log, recorded_sequence }: Row): Promise<Removal | null> {
    const found = await db
      .selectFrom('records')
      .select('entry')
      .where('log', '=', recorded_log)
      .where('sequence', '=', recorded_sequence)
      .executeTakeFirst();
    const by = { log: recorded_log, index: recorded_sequence };
    const removal = found ? removalIn(Buffer.from(found.entry), by) : null;
    // What was kept of one after all is said without hashes.
    return removal?.log === log && removal.digest !== '' ? removal : null;
  }

  /** Those of which nothing is left in the database either: others were kept after all. */
  function goneOf({ log, ranges }: Removal) {
    const sequences = ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, at) => from + at));
    return db
      .selectFrom('records')
      .select(['sequence', 'leaf_hash'])
      .where('log', '=', log)
      .where('sequence', 'in', sequences)
      .where('entry', '=', '')
      .orderBy('sequence')
      .execute();
  }

  async function takeOut(log: string, there: number, rows: Row[]): Promise<void> {
    const done: string[] = [];
    const gone = new Set<number>();
    for (const row of rows) {
      const removal = await recordOf(row);
      if (removal === null) continue;
      done.push(row.id);
      for (const { sequence } of await goneOf(removal)) if (sequence < there) gone.add(sequence);
    }
    // Neighbours share bundles: each is written once.
    for (const index of new Set([...gone].map((sequence) => Math.floor(sequence / TILE_WIDTH)))) {
      const isFull = there - index * TILE_WIDTH >= TILE_WIDTH;
      // Of one that is not full yet, smaller ones may be there too, for those who read an older checkpoint, and larger ones, after a crash.
      for (let width = TILE_WIDTH; width >= (isFull ? TILE_WIDTH : 1); width--)
        await rewrite(`${prefixOf(log)}/${tilePath({ level: 'entries', index, width })}`, index * TILE_WIDTH, gone);
    }
    if (done.length > 0)
      await db.updateTable('removals').set({ published_at: clock.now() }).where('id', 'in', done).execute();
  }

  async function rewrite(path: string, first: number, gone: Set<number>): Promise<void> {
    const bundle = await place.read(path);
    if (!bundle) return;
    const entries = decodeEntryBundle(bundle);
    const left = entries.map((entry, at) => (gone.has(first + at) ? new Uint8Array() : entry));
    if (left.every((entry, at) => entry.length === entries[at]?.length)) return;
    await place.write(path, {
      ...{ body: encodeEntryBundle(left), contentType: 'application/octet-stream', immutable: false },
    });
  }

  /**
   * Another replica has recorded it, and publishes that elsewhere, or not at all: whoever verifies this copy would find content missing,
   * and no reason. So the own log says it as well, of just what is gone.
   */
  async function recordAgain(row: Row): Promise<void> {
    const removal = await recordOf(row);
    if (removal === null) return;
    const gone = await goneOf(removal);
    const named = removal.ranges.reduce((sum, [from, to]) => sum + to - from, 0);
    // What was kept after all, and is gone nevertheless, was taken away by somebody: no record is made to say otherwise.
    if (gone.length === 0 || gone.length !== named - (await keptOf(row.id))) return;
    const ranges = formatRanges(gone.map(({ sequence }) => sequence));
    const digest = removalDigest(
      gone.map(({ leaf_hash }) => Uint8Array.from(leaf_hash)),
      nodeSha256,
    );
    await storage.transaction(async (transaction) => {
      const open = await transaction
        .selectFrom('removals')
        .select('id')
        .where('id', '=', row.id)
        .where('recorded_log', '=', row.recorded_log)
        .where('published_at', 'is', null)
        .executeTakeFirst();
      if (!open) return;
      await deps.recordChange(transaction, {
        ...{ operation: 'retention.remove', by: 'gatehouse', action: row.id },
        changes: [removal.rule, `log ${removal.log}, records ${ranges}, leaf hashes sha256-${digest}`],
      });
      const said = await transaction
        .selectFrom('records')
        .select('sequence')
        .where('action_id', '=', row.id)
        .where('log', '=', logId)
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirstOrThrow();
      await transaction
        .updateTable('removals')
        .set({ recorded_log: logId, recorded_sequence: said.sequence })
        .where('id', '=', row.id)
        .execute();
    });
  }

  /** As the record has it. */
  async function keptOf(id: string): Promise<number> {
    const records = await db
      .selectFrom('records')
      .select('entry')
      .where('operation', '=', 'retention.keep')
      .where('entry', 'like', `%${id}%`)
      .execute();
    return records
      .flatMap(({ entry }) => (JSON.parse(entry).changes as string[]).slice(0, 1))
      .reduce((sum, change) => sum + Number(/^(?:\S+: )?(\d+) of /.exec(change)?.[1] ?? Number.NaN), 0);
  }

  return turn;
}
