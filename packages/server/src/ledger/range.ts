import type { ExportEntries, ExportProof, ExportRange } from '@gatehouse/protocol';
import { rangeProof } from '@gatehouse/verifier';
import { GatehouseError } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { ledgerLimits as limits } from './limits.ts';
import { createStoredLogs } from './stored.ts';

/** A part of a log with the proof that nothing of it is missing. Errors: `log.unknown`, `log.range`. */
export interface Ranges {
  /** The records of these times that a checkpoint covers. */
  range(log: string, times: { from?: number; to?: number }): Promise<ExportRange>;
  entries(log: string, first: number, end: number): Promise<ExportEntries>;
  proof(log: string, first: number, end: number): Promise<ExportProof>;
}

export function createRanges(storage: Pick<Storage, 'db' | 'dialect'>, brought: () => Promise<unknown>): Ranges {
  const { db } = storage;
  const stored = createStoredLogs(storage);

  async function checkpointOf(log: string) {
    const [newest, vkey] = await Promise.all([stored.newest(log), stored.vkeyOf(log)]);
    if (vkey === undefined)
      throw new GatehouseError(
        'not-found',
        'log.unknown',
        `There is no log "${log}". List the logs to see their names.`,
      );
    return { size: newest?.size ?? 0, note: newest?.note ?? '', vkey };
  }

  /** The first record of a log that is not older; its clock may have been put back, so that this is nearly so. */
  async function firstAt(log: string, at: number, size: number): Promise<number> {
    let [low, high] = [0, size];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = await db
        .selectFrom('records')
        .select('at')
        .where('log', '=', log)
        .where('sequence', '=', middle)
        .executeTakeFirst();
      if (row && row.at < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const checked = (first: number, end: number, size: number) => {
    if (first > end || end > size)
      throw new GatehouseError(
        'bad-request',
        'log.range',
        `The log has the records 0 to ${size}; ${first} to ${end} is no part of that.`,
      );
  };

  return {
    async range(log, { from, to }) {
      await brought();
      const { size, vkey } = await checkpointOf(log);
      const first = from === undefined ? 0 : await firstAt(log, from, size);
      const end = to === undefined ? size : await firstAt(log, to, size);
      return { log, vkey, first, end: Math.max(first, end) };
    },
    async entries(log, first, end) {
      const { size } = await checkpointOf(log);
      checked(first, end, size);
      const rows = await db
        .selectFrom('records')
        .select(['entry', 'leaf_hash'])
        .where('log', '=', log)
        .where('sequence', '>=', first)
        .where('sequence', '<', Math.min(end, first + limits.exportedAtOnce))
        .orderBy('sequence')
        .execute();
      return {
        first,
        entries: rows.map(({ entry, leaf_hash }) =>
          entry === '' ? { entry, hash: Buffer.from(leaf_hash).toString('base64') } : { entry },
        ),
      };
    },
    async proof(log, first, end) {
      const { size, note } = await checkpointOf(log);
      checked(first, end, size);
      const { left, right } = await rangeProof(first, end, size, stored.hashReader(log, size));
      const text = (hashes: Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('base64'));
      return { left: text(left), right: text(right), checkpoint: note };
    },
  };
}
