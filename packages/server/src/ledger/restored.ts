import { type Clock, GatehouseError } from '../platform/index.ts';
import type { Sealer, Storage } from '../storage/index.ts';
import { openLogKey } from './log-key.ts';
import { createStoredLogs } from './stored.ts';
import { createTree } from './tree.ts';
import { verifyLogs, verifyStored } from './verification.ts';

const META_KEY = 'restore';

/**
 * After a restore every replica opens another log than before. The old ones may have gone on after the backup, and records written
 * behind its last would be a second story under one name.
 */
export async function suffixOf(storage: Storage): Promise<string> {
  const row = await storage.db.selectFrom('meta').select('value').where('key', '=', META_KEY).executeTakeFirst();
  return row ? `~${row.value}` : '';
}

/**
 * Verifies every log that came with a backup, signs a last checkpoint over all of its records, and destroys its private key: it stays
 * verifiable, and nobody adds to it any more. From here on logs are opened under names that end in `id`.
 * Errors: `backup.log-broken`.
 */
export async function closeLogs(
  deps: { storage: Storage; sealer: Sealer; clock: Clock },
  id: string,
): Promise<{ log: string; replica: string; size: number; checkpoint: string }[]> {
  const { storage, clock } = deps;
  const stored = createStoredLogs(storage);
  const closed: { log: string; replica: string; size: number; checkpoint: string }[] = [];
  const logs = await storage.db.selectFrom('logs').selectAll().orderBy('id').execute();
  for (const { id: log } of logs) {
    const kid = `log:${log}`;
    const row = await storage.db.selectFrom('signing_keys').select('kid').where('kid', '=', kid).executeTakeFirst();
    // One that an earlier restore has closed has none.
    if (row) {
      const tree = createTree(storage, stored, log, await openLogKey(deps, log), clock);
      // What can't be brought up to date is found to be broken right away.
      await tree.integrate().catch(() => undefined);
    }
  }
  const { ok, problem } = await verifyLogs({
    list: async () => logs,
    verify: (log, options) => verifyStored(storage, stored, log, options),
  });
  if (!ok)
    throw new GatehouseError(
      'conflict',
      'backup.log-broken',
      `The record in the backup is not what was signed (${problem}). Nothing was restored; take an older backup.`,
    );
  for (const { id: log, replica } of logs) {
    const newest = await storage.db
      .selectFrom('checkpoints')
      .select(['size', 'note'])
      .where('log', '=', log)
      .orderBy('size', 'desc')
      .executeTakeFirst();
    if (newest) closed.push({ log, replica, size: newest.size, checkpoint: newest.note });
    await storage.db.deleteFrom('signing_keys').where('kid', '=', `log:${log}`).execute();
  }
  await storage.db
    .insertInto('meta')
    .values({ key: META_KEY, value: id })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: id }))
    .execute();
  return closed;
}
