import { type Clock, GatehouseError } from '../../platform/index.ts';
import { type SealedColumn, sealedColumns } from '../sealed-columns.ts';
import { isWrappedBy, rewrap } from '../sealer.ts';
import type { RecordChange, Storage } from '../storage.ts';
import type { KeyRing } from './key-ring.ts';
import { keyEncryptionLimits } from './limits.ts';

const BATCH = keyEncryptionLimits.rewrapBatch;
/** A value that was sealed with the old key while we passed it is found by the next pass. */
const MAX_PASSES = 10;

export interface RewrapProgress {
  looked: number;
  of: number;
  rewrapped: number;
}

interface Dependencies {
  storage: Storage;
  ring: KeyRing;
  recordChange: RecordChange;
  clock: Clock;
}

/**
 * Makes `to` (an id or specification; the preferred key by default) current, and seals everything anew for it, while the server goes
 * on. Data keys are wrapped anew; values are not decrypted. The old key opens until every value has been seen under the new one, and
 * is then retired. Killed in the middle nothing is lost: each value is under one of the two keys, and another call goes on.
 */
export async function rewrapAll(
  { storage, ring, recordChange, clock }: Dependencies,
  { to, by, onProgress }: { to: string | undefined; by: string; onProgress?: (progress: RewrapProgress) => void },
): Promise<RewrapProgress> {
  const wanted = ring.find(to);
  await storage.transaction(async (transaction) => {
    const current = await transaction
      .selectFrom('key_encryption_keys')
      .selectAll()
      .where('state', '=', 'current')
      .executeTakeFirst();
    if (current?.id === wanted.id) return;
    const states = transaction.updateTable('key_encryption_keys');
    await states.set({ state: 'retiring' }).where('state', '=', 'current').execute();
    await states.set({ state: 'current' }).where('id', '=', wanted.id).execute();
    await recordChange(transaction, {
      operation: 'key-encryption.change',
      by,
      changes: [`seals with ${wanted.id} (${wanted.source}) instead of ${current?.id} (${current?.source})`],
    });
    await storage.announce(transaction, 'key', `key-encryption:${wanted.id}`, clock.now());
  });
  await ring.refresh();
  // From here on no replica seals with the old key: one that does not hold the new one has stopped.
  await storage.feed.waitForAll(await storage.feed.head());

  const progress: RewrapProgress = { looked: 0, of: await countOf(storage), rewrapped: 0 };
  for (let pass = 0, found = 1; found > 0; pass++) {
    if (pass === MAX_PASSES) throw new Error('values are still being sealed with the old key-encryption key');
    found = 0;
    if (pass > 0) progress.looked = 0;
    for (const column of sealedColumns) {
      for await (const rows of pages(storage, column)) {
        const count = await rewrapRows({ storage, ring }, column, rows);
        found += count;
        progress.looked += rows.length;
        progress.rewrapped += count;
        onProgress?.(progress);
      }
    }
  }

  let verified = 0;
  for (const column of sealedColumns) {
    for await (const rows of pages(storage, column)) {
      for (const { key, sealed } of rows) {
        if (!isWrappedBy(sealed, wanted)) throw new Error(`${column.table} "${key}" is not sealed with ${wanted.id}`);
        verified++;
      }
    }
  }
  await storage.transaction(async (transaction) => {
    // Another replica may have begun to change to another key: then what was verified here says nothing about what is retiring now.
    const current = await transaction
      .selectFrom('key_encryption_keys')
      .select('id')
      .where('state', '=', 'current')
      .executeTakeFirst();
    if (current?.id !== wanted.id)
      throw new GatehouseError(
        'conflict',
        'key-encryption.raced',
        `Somebody has changed to the key-encryption key ${current?.id} meanwhile.`,
      );
    const retired = await transaction
      .updateTable('key_encryption_keys')
      .set({ state: 'retired' })
      .where('state', '=', 'retiring')
      .returning(['id', 'source'])
      .execute();
    await recordChange(transaction, {
      operation: 'key-encryption.rewrap',
      by,
      changes: [
        `${progress.rewrapped} values sealed anew, ${verified} verified to be sealed with ${wanted.id}`,
        ...retired.map(({ id, source }) => `key-encryption key ${id} (${source}) retired`),
      ],
    });
    await storage.announce(transaction, 'key', `key-encryption:${wanted.id}`, clock.now());
  });
  return progress;
}

interface SealedRow {
  key: string;
  sealed: Uint8Array;
}

async function rewrapRows(
  { storage, ring }: Pick<Dependencies, 'storage' | 'ring'>,
  { table, key, column, version1Context }: SealedColumn,
  rows: SealedRow[],
): Promise<number> {
  const changed = rows.flatMap((row) => {
    const anew = rewrap(row.sealed, ring, version1Context?.({ [key]: row.key }));
    return anew ? [{ ...row, anew }] : [];
  });
  if (changed.length === 0) return 0;
  return storage.transaction(async (transaction) => {
    let count = 0;
    for (const { key: id, sealed, anew } of changed) {
      // Only what we have read: a value that somebody has replaced meanwhile is looked at again by the next pass.
      const { numUpdatedRows } = await transaction
        .updateTable(table as 'secrets')
        .set({ [column as 'sealed']: anew })
        .where(key as 'name', '=', id)
        .where(column as 'sealed', '=', sealed)
        .executeTakeFirst();
      count += Number(numUpdatedRows);
    }
    return count;
  });
}

async function* pages(storage: Storage, { table, key, column }: SealedColumn): AsyncGenerator<SealedRow[]> {
  for (let after: string | undefined; ; ) {
    let select = storage.db
      .selectFrom(table as 'secrets')
      .select([`${key} as key` as 'name as key', `${column} as sealed` as 'sealed'])
      .where(column as 'sealed', 'is not', null)
      .orderBy(key as 'name')
      .limit(BATCH);
    if (after !== undefined) select = select.where(key as 'name', '>', after);
    const rows = (await select.execute()) as unknown as SealedRow[];
    if (rows.length > 0) yield rows;
    if (rows.length < BATCH) return;
    after = rows.at(-1)?.key;
  }
}

async function countOf(storage: Storage): Promise<number> {
  let count = 0;
  for (const { table, column } of sealedColumns) {
    const row = await storage.db
      .selectFrom(table as 'secrets')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where(column as 'sealed', 'is not', null)
      .executeTakeFirstOrThrow();
    count += Number(row.count);
  }
  return count;
}
