import type { Database } from './storage.ts';

/** Changes are read within milliseconds; what is this old is only kept for replicas that were cut off and come back. */
const CHANGES_KEPT_MS = 24 * 3_600_000;
/** Deleted at a time, so that nobody waits long for the writer. */
const CHANGES_PER_DELETE = 5_000;
/** In `meta`: the last change that may be gone. */
const PRUNED = 'feed.pruned';

/** A replica that has not got as far as this has missed changes, and must read everything anew. */
export async function lastPruned(db: Database): Promise<number> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', PRUNED).executeTakeFirst();
  return Number(row?.value ?? 0);
}

export async function pruneChanges(db: Database, now: number): Promise<void> {
  const oldest = (since: number) =>
    db
      .selectFrom('changes')
      .select((select) => select.fn.min('sequence').as('sequence'))
      .where('at', '>=', since)
      .executeTakeFirstOrThrow();
  const [first, kept] = [await oldest(0), await oldest(now - CHANGES_KEPT_MS)];
  if (first.sequence === null || kept.sequence === null || first.sequence === kept.sequence) return;
  const value = String(kept.sequence - 1);
  // Noted first: a crash in between has a replica start anew for nothing, never miss anything.
  await db
    .insertInto('meta')
    .values({ key: PRUNED, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
  for (let to = first.sequence; to < kept.sequence; ) {
    to = Math.min(to + CHANGES_PER_DELETE, kept.sequence);
    await db.deleteFrom('changes').where('sequence', '<', to).execute();
  }
}
