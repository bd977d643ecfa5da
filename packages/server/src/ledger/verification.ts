import {
  type LogReport,
  type LogToVerify,
  logsNamedIn,
  type NamedLog,
  TILE_WIDTH,
  verifyLog,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { GatehouseError } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { HASH_BYTES } from './edge.ts';
import type { StoredLogs } from './stored.ts';
import type { Ledger } from './types.ts';

const PAGE = 5_000;

/** Recomputes a log from its stored records and compares it with every checkpoint that was signed, and those that were kept. */
export async function verifyStored(
  { db }: Pick<Storage, 'db'>,
  stored: StoredLogs,
  log: string,
  { checkpoints = [], onProgress }: NonNullable<Parameters<Ledger['verify']>[1]> = {},
): ReturnType<Ledger['verify']> {
  const vkey = await stored.vkeyOf(log);
  if (!vkey)
    throw new GatehouseError('not-found', 'log.unknown', `There is no log "${log}". List the logs to see their names.`);
  const notes = await db
    .selectFrom('checkpoints')
    .select(['note', 'size'])
    .where('log', '=', log)
    .orderBy('size')
    .execute();
  if (notes.length + checkpoints.length === 0) return { ok: true, size: 0, problem: null, named: [] };
  const named: NamedLog[] = [];
  let page: { first: number; hashes: Uint8Array } = { first: 0, hashes: new Uint8Array() };
  const leafAt = (index: number) => {
    const at = (index - page.first) * HASH_BYTES;
    return at + HASH_BYTES <= page.hashes.byteLength ? page.hashes.subarray(at, at + HASH_BYTES) : undefined;
  };

  async function* entries(): AsyncGenerator<Uint8Array> {
    for (let from = 0; ; from += PAGE) {
      const rows = await db
        .selectFrom('records')
        .select(['entry', 'sequence', 'operation'])
        .where('log', '=', log)
        .where('sequence', '>=', from)
        .where('sequence', '<', from + PAGE)
        .orderBy('sequence')
        .execute();
      for (const [at, { entry, sequence, operation }] of rows.entries()) {
        if (sequence !== from + at) throw new Missing(`record ${from + at} was logged, and is not there any more`);
        const bytes = Buffer.from(entry);
        if (operation.startsWith('log.')) named.push(...logsNamedIn(bytes));
        yield bytes;
      }
      if (rows.length < PAGE) return;
    }
  }

  const report = await verifyOrMissing({
    vkey,
    entries: entries(),
    checkpoints: [...notes.map(({ note }) => note), ...checkpoints],
    leafHashAt: async (index) => {
      const first = index - (index % (TILE_WIDTH * 16));
      if (page.first !== first || page.hashes.byteLength === 0) {
        const rows = await db
          .selectFrom('records')
          .select('leaf_hash')
          .where('log', '=', log)
          .where('sequence', '>=', first)
          .where('sequence', '<', first + TILE_WIDTH * 16)
          .orderBy('sequence')
          .execute();
        page = { first, hashes: Buffer.concat(rows.map(({ leaf_hash }) => leaf_hash)) };
      }
      return leafAt(index);
    },
    sha256: nodeSha256,
    ...(onProgress && { onProgress: ({ verified, total }) => onProgress(verified, total) }),
  });
  if (report.ok) return { ok: true, size: report.size + report.uncovered, problem: null, named };
  return { ok: false, size: notes.at(-1)?.size ?? 0, problem: `${report.fault.kind}: ${report.fault.detail}`, named };
}

class Missing extends Error {}

async function verifyOrMissing(log: LogToVerify): Promise<LogReport> {
  try {
    return await verifyLog(log);
  } catch (error) {
    if (error instanceof Missing) return { ok: false, fault: { kind: 'missing', detail: error.message } };
    throw error;
  }
}
