import { parseRanges, TILE_WIDTH, tilePath } from '@gatehouse/verifier';
import type { Clock } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import type { PublishingPlace } from './publishing-places.ts';
import type { LogResource } from './types.ts';

/** Removals of one turn. */
const AT_ONCE = 50;
/** Another replica has recorded it, and publishes that for itself. */
const OTHERS_PUBLISH_MS = 60_000;

interface Published {
  place: PublishingPlace;
  storage: Pick<Storage, 'db'>;
  resource(log: string, path: string): Promise<LogResource | undefined>;
  logId: string;
  clock: Clock;
  prefixOf(log: string): string;
  /** How many records of this log are published. */
  size: number;
}

/**
 * Takes what retention has removed out of the copies that are published: bundles are written anew, with an entry of no bytes. Only once
 * the record that says so is published as well, so that whoever verifies the copy finds it.
 */
export async function unpublish({ place, storage, resource, logId, clock, prefixOf, size }: Published): Promise<void> {
  const { db } = storage;
  const due = await db
    .selectFrom('removals')
    .selectAll()
    .where('unpublish', '=', 1)
    .where('published_at', 'is', null)
    .where('removed_at', 'is not', null)
    .where(({ or, eb }) => or([eb('log', '=', logId), eb('recorded_log', '=', logId)]))
    .orderBy('id')
    .limit(AT_ONCE)
    .execute();
  const ready = due.filter(({ recorded_log, recorded_sequence, removed_at }) =>
    recorded_log === logId ? recorded_sequence < size : (removed_at ?? 0) < clock.now() - OTHERS_PUBLISH_MS,
  );
  // Neighbours share bundles: each is written once.
  for (const [log, removals] of Map.groupBy(ready, (removal) => removal.log)) {
    const there = log === logId ? size : await sizeOf(log);
    const bundles = new Set<number>();
    for (const { ranges } of removals)
      for (const [from, to] of parseRanges(ranges) ?? [])
        for (let at = Math.floor(from / TILE_WIDTH); at * TILE_WIDTH < to; at++) bundles.add(at);
    for (const bundle of bundles) await rewrite(log, bundle, there);
    await db
      .updateTable('removals')
      .set({ published_at: clock.now() })
      .where(
        'id',
        'in',
        removals.map(({ id }) => id),
      )
      .execute();
  }

  /** Zero where that log is not published here. */
  async function sizeOf(log: string): Promise<number> {
    const [origin, count] = ((await place.read(`${prefixOf(log)}/checkpoint`)) ?? '').toString().split('\n');
    return origin === log && /^\d{1,15}$/.test(count ?? '') ? Number(count) : 0;
  }

  async function rewrite(log: string, index: number, there: number): Promise<void> {
    const width = Math.min(TILE_WIDTH, there - index * TILE_WIDTH);
    // Of one that is not full yet, smaller ones may be there too, for those who read an older checkpoint.
    const smaller = width === TILE_WIDTH || width < 1 ? [] : Array.from({ length: width - 1 }, (_, at) => at + 1);
    for (const each of width < 1 ? [] : [width, ...smaller]) {
      const path = tilePath({ level: 'entries', index, width: each });
      if (each !== width && !(await place.read(`${prefixOf(log)}/${path}`))) continue;
      const found = await resource(log, path);
      if (found) await place.write(`${prefixOf(log)}/${path}`, found);
    }
  }
}
