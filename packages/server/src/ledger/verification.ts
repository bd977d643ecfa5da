import {
  type LogReport,
  type LogToVerify,
  logsNamedIn,
  missingLog,
  type NamedLog,
  type Removal,
  TILE_WIDTH,
  verifyLog,
  verifyTogether,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { GatehouseError } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { HASH_BYTES } from './edge.ts';
import type { StoredLogs } from './stored.ts';
import type { Ledger, LogsReport, VerifiedLog } from './types.ts';

const PAGE = 5_000;

/** Recomputes a log from its stored records and compares it with every checkpoint that was signed, and those that were kept. */
export async function verifyStored(
  { db }: Pick<Storage, 'db'>,
  stored: StoredLogs,
  log: string,
  { checkpoints = [], removals = [], onProgress }: NonNullable<Parameters<Ledger['verify']>[1]> = {},
): ReturnType<Ledger['verify']> {
  const vkey = await stored.vkeyOf(log);
  if (!vkey) throw unknownLog(log);
  const notes = await db
    .selectFrom('checkpoints')
    .select(['note', 'size'])
    .where('log', '=', log)
    .orderBy('size')
    .execute();
  if (notes.length + checkpoints.length === 0) {
    const size = await stored.sizeOf(log);
    // Signing goes on beside the log all the time: a log without a signature is one whose signatures were taken away.
    const problem = size === 0 ? null : `no-checkpoint: none of its ${size} records is signed`;
    return { ok: size === 0, size: 0, problem, named: [], ...nothingRemoved, erased: false };
  }
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
        .select(['entry', 'sequence'])
        .where('log', '=', log)
        .where('sequence', '>=', from)
        .where('sequence', '<', from + PAGE)
        .orderBy('sequence')
        .execute();
      for (const [at, { entry, sequence }] of rows.entries()) {
        if (sequence !== from + at) throw new Missing(`record ${from + at} was logged, and is not there any more`);
        const bytes = Buffer.from(entry);
        if (bytes.includes('"operation":"log.')) named.push(...logsNamedIn(bytes));
        yield bytes;
      }
      if (rows.length < PAGE) return;
    }
  }

  const report = await verifyOrMissing({
    vkey,
    entries: entries(),
    checkpoints: [...notes.map(({ note }) => note), ...checkpoints],
    removals,
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
  if (!report.ok) {
    const { fault, recorded = [] } = report;
    const problem = `${fault.kind}: ${fault.detail}`;
    const size = notes.at(-1)?.size ?? 0;
    return { ok: false, size, problem, named, ...nothingRemoved, recorded, erased: fault.kind === 'erased' };
  }
  const { removed, removals: by, recorded } = report;
  const size = report.size + report.uncovered;
  return { ok: true, size, problem: null, named, removed, removals: by, recorded, erased: false };
}

const nothingRemoved = { removed: 0, removals: [], recorded: [] };

/** All logs, or the one asked for, and whether each that one of them names, or of which a checkpoint was kept, is here. */
export async function verifyLogs(
  { list, verify }: { list: () => Promise<{ id: string; vkey: string; size?: number }[]>; verify: Ledger['verify'] },
  { log, checkpoints = [] }: NonNullable<Parameters<Ledger['verifyAll']>[0]> = {},
): Promise<LogsReport> {
  const kept = Map.groupBy(checkpoints, (note) => note.split('\n', 1)[0] ?? '');
  const verifyEach = async () => {
    const known = await list();
    const reports = new Map<string, VerifiedLog>();
    const verifyThese = async (ids: readonly string[]) => {
      const found = await verifyTogether(
        ids.map((id) => (removals: readonly Removal[]) => verify(id, { checkpoints: kept.get(id) ?? [], removals })),
      );
      for (const [at, id] of ids.entries()) reports.set(id, found[at] as VerifiedLog);
      return found;
    };
    const ids = known.map(({ id }) => id);
    const asked = await verifyThese(ids.filter((id) => log === undefined || log === id));
    // What was removed from it, and what was kept of that after all, another log may say.
    if (log !== undefined && asked.some(({ erased, removed }) => erased || removed > 0)) await verifyThese(ids);
    const logs: LogsReport['logs'] = [];
    const named: NamedLog[] = [];
    const here: NamedLog[] = [];
    for (const { id, vkey, size = 0 } of known) {
      const found = log === undefined || log === id ? reports.get(id) : undefined;
      here.push({ id, vkey, size: found?.size ?? size });
      if (!found) continue;
      const { ok, size: own, problem, removed, removals } = found;
      logs.push({ id, ok, size: own, problem, removed, removals });
      named.push(...found.named);
    }
    return { known, logs, named, here };
  };
  let found = await verifyEach();
  const { logs, named, known } = found;
  const size = logs.reduce((sum, report) => sum + report.size, 0);
  const gone = [...kept.keys()].find((id) => !known.some((each) => each.id === id));
  if (log !== undefined && logs.length === 0) throw unknownLog(log);
  if (gone !== undefined)
    return { ok: false, size, problem: `missing: there is no log "${gone}", and a checkpoint of it was kept`, logs };
  const broken = logs.find(({ ok }) => !ok);
  if (broken) return { ok: false, size, problem: `${broken.id}: ${broken.problem}`, logs };
  // What was named while others were being read may be newer than what was read of them: they are read again.
  if (missingLog(named, found.here) !== null) found = await verifyEach();
  const absent = missingLog(named, found.here);
  return { ok: absent === null, size, problem: absent && `log-missing: ${absent}`, logs };
}

const unknownLog = (log: string) =>
  new GatehouseError('not-found', 'log.unknown', `There is no log "${log}". List the logs to see their names.`);

class Missing extends Error {}

async function verifyOrMissing(log: LogToVerify): Promise<LogReport> {
  try {
    return await verifyLog(log);
  } catch (error) {
    if (error instanceof Missing) return { ok: false, fault: { kind: 'missing', detail: error.message } };
    throw error;
  }
}
