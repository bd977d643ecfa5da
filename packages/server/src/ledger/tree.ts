import {
  appendLeaf,
  emptyTree,
  encodeEntryBundle,
  formatCheckpoint,
  formatTlogProof,
  type HashReader,
  inclusionProof,
  type LogReport,
  type LogToVerify,
  parseTilePath,
  rootFromHashes,
  TILE_WIDTH,
  tileHashReader,
  treeRoot,
  VerifierError,
  verifyLog,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { type Clock, GatehouseError } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import type { LogKey } from './log-key.ts';
import type { Ledger } from './types.ts';

const HASH_BYTES = 32;
const VERIFY_PAGE = 5_000;

/**
 * The Merkle tree over the records. The lowest hashes stand in the records themselves; above them a row of `tiles` is written
 * when 256 hashes below it are complete (C2SP tlog-tiles), so that the cost of an append does not grow with the log.
 */
export async function createTree(storage: Storage, ownLog: string, key: LogKey | null, clock: Clock) {
  let integrated = await lastCheckpointSize(ownLog);
  let running: Promise<void> = Promise.resolve();

  async function lastCheckpointSize(log: string): Promise<number> {
    const row = await storage.db
      .selectFrom('checkpoints')
      .select('size')
      .where('log', '=', log)
      .orderBy('size', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row?.size ?? 0;
  }

  async function sizeOf(log: string): Promise<number> {
    const row = await storage.db
      .selectFrom('records')
      .select('sequence')
      .where('log', '=', log)
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row ? row.sequence + 1 : 0;
  }

  async function leafHashes(log: string, from: number, to: number): Promise<Uint8Array> {
    const rows = await storage.db
      .selectFrom('records')
      .select(['sequence', 'leaf_hash'])
      .where('log', '=', log)
      .where('sequence', '>=', from)
      .where('sequence', '<', to)
      .orderBy('sequence')
      .execute();
    if (rows.length !== to - from)
      throw new GatehouseError(
        'internal',
        'ledger.gap',
        `Log ${log} has ${rows.length} of the records ${from} to ${to - 1}.`,
      );
    return Buffer.concat(rows.map(({ leaf_hash }) => leaf_hash));
  }

  async function readTile(log: string, level: number, index: number, width: number): Promise<Uint8Array> {
    const first = index * TILE_WIDTH;
    if (level === 0) return leafHashes(log, first, first + width);
    const row = await storage.db
      .selectFrom('tiles')
      .select('hashes')
      .where('log', '=', log)
      .where('level', '=', level)
      .where('tile', '=', index)
      .executeTakeFirst();
    if (!row || row.hashes.byteLength < width * HASH_BYTES)
      throw new GatehouseError('internal', 'ledger.tile-missing', `Tile ${level}/${index} of ${log} is not complete.`);
    return row.hashes.slice(0, width * HASH_BYTES);
  }

  function hashReader(log: string, size: number): HashReader {
    return tileHashReader(size, (level, index, width) => readTile(log, level, index, width), nodeSha256);
  }

  /** Writes the hashes of every tile that has become complete between two sizes, level by level. */
  async function writeTiles(from: number, to: number): Promise<void> {
    const rows: { log: string; level: number; tile: number; width: number; hashes: Uint8Array }[] = [];
    for (let level = 1, span = TILE_WIDTH; Math.floor(to / span) > 0; level++, span *= TILE_WIDTH) {
      for (let at = Math.floor(from / span); at < Math.floor(to / span); at++) {
        const below =
          rows.find((row) => row.level === level - 1 && row.tile === at)?.hashes ??
          (await readTile(ownLog, level - 1, at, TILE_WIDTH));
        const hash = rootOf(below);
        const tile = Math.floor(at / TILE_WIDTH);
        let row = rows.find((each) => each.level === level && each.tile === tile);
        if (!row) {
          const width = at % TILE_WIDTH;
          row = {
            log: ownLog,
            level,
            tile,
            width,
            hashes: width > 0 ? await readTile(ownLog, level, tile, width) : new Uint8Array(),
          };
          rows.push(row);
        }
        row.hashes = Buffer.concat([row.hashes, hash]);
        row.width++;
      }
    }
    if (rows.length === 0) return;
    await storage.transaction(async (transaction) => {
      for (const row of rows) {
        await transaction
          .insertInto('tiles')
          .values(row)
          .onConflict((conflict) =>
            conflict.columns(['log', 'level', 'tile']).doUpdateSet({ width: row.width, hashes: row.hashes }),
          )
          .execute();
      }
    });
  }

  async function integrateOnce(): Promise<void> {
    const size = await sizeOf(ownLog);
    // Without its key nothing is signed any more.
    if (size === integrated || !key) return;
    await writeTiles(integrated, size);
    const root = await rootFromHashes(size, hashReader(ownLog, size), nodeSha256);
    const note = key.signNote(formatCheckpoint({ origin: key.name, size, root }));
    await storage.db.insertInto('checkpoints').values({ log: ownLog, size, note, at: clock.now() }).execute();
    integrated = size;
  }

  function integrate(): Promise<void> {
    const next = running.then(integrateOnce);
    running = next.catch(() => undefined);
    return next;
  }

  async function newestCheckpoint(log: string): Promise<{ size: number; note: string } | undefined> {
    return storage.db
      .selectFrom('checkpoints')
      .select(['size', 'note'])
      .where('log', '=', log)
      .orderBy('size', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  async function vkeyOf(log: string): Promise<string | undefined> {
    const row = await storage.db.selectFrom('logs').select('vkey').where('id', '=', log).executeTakeFirst();
    return row?.vkey;
  }

  async function* entriesOf(log: string): AsyncGenerator<Uint8Array> {
    for (let from = 0; ; from += VERIFY_PAGE) {
      const rows = await storage.db
        .selectFrom('records')
        .select(['entry', 'sequence'])
        .where('log', '=', log)
        .where('sequence', '>=', from)
        .where('sequence', '<', from + VERIFY_PAGE)
        .orderBy('sequence')
        .execute();
      for (const [at, { entry, sequence }] of rows.entries()) {
        if (sequence !== from + at) throw new Missing(`record ${from + at} was logged, and is not there any more`);
        yield Buffer.from(entry);
      }
      if (rows.length < VERIFY_PAGE) return;
    }
  }

  return {
    integrate,

    async checkpoint(): Promise<string | null> {
      await integrate();
      return (await newestCheckpoint(ownLog))?.note ?? null;
    },

    async receipt(log: string, sequence: number) {
      if (log === ownLog) await integrate();
      const [row, checkpoint, vkey] = await Promise.all([
        storage.db
          .selectFrom('records')
          .select('entry')
          .where('log', '=', log)
          .where('sequence', '=', sequence)
          .executeTakeFirst(),
        newestCheckpoint(log),
        vkeyOf(log),
      ]);
      if (!row || !checkpoint || !vkey || sequence >= checkpoint.size) return undefined;
      const proof = await inclusionProof(sequence, checkpoint.size, hashReader(log, checkpoint.size), nodeSha256);
      return {
        entry: row.entry,
        proof: formatTlogProof({ index: sequence, proof, checkpoint: checkpoint.note }),
        vkey,
      };
    },

    async resource(log: string, path: string) {
      if (path === 'checkpoint') {
        const checkpoint = await newestCheckpoint(log);
        return (
          checkpoint && {
            body: Buffer.from(checkpoint.note),
            contentType: 'text/plain; charset=utf-8',
            immutable: false,
          }
        );
      }
      const tile = tileAt(path);
      if (!tile) return undefined;
      const size = (await newestCheckpoint(log))?.size ?? 0;
      const level = tile.level === 'entries' ? 0 : tile.level;
      if (tile.index * TILE_WIDTH + tile.width > Math.floor(size / TILE_WIDTH ** level)) return undefined;
      const immutable = tile.width === TILE_WIDTH;
      if (tile.level !== 'entries') {
        return {
          body: await readTile(log, level, tile.index, tile.width),
          contentType: 'application/octet-stream',
          immutable,
        };
      }
      const rows = await storage.db
        .selectFrom('records')
        .select('entry')
        .where('log', '=', log)
        .where('sequence', '>=', tile.index * TILE_WIDTH)
        .where('sequence', '<', tile.index * TILE_WIDTH + tile.width)
        .orderBy('sequence')
        .execute();
      return {
        body: encodeEntryBundle(rows.map(({ entry }) => Buffer.from(entry))),
        contentType: 'application/octet-stream',
        immutable,
      };
    },

    async verify(log: string, { checkpoints = [], onProgress }: Parameters<Ledger['verify']>[1] = {}) {
      // A log with a hole can't be brought up to date; what is wrong with it is then found against the checkpoints that it has.
      if (log === ownLog) await integrate().catch(() => undefined);
      const vkey = await vkeyOf(log);
      if (!vkey)
        throw new GatehouseError(
          'not-found',
          'log.unknown',
          `There is no log "${log}". List the logs to see their names.`,
        );
      const notes = await storage.db
        .selectFrom('checkpoints')
        .select(['note', 'size'])
        .where('log', '=', log)
        .orderBy('size')
        .execute();
      if (notes.length + checkpoints.length === 0) return { ok: true, size: 0, problem: null };
      let page: { first: number; hashes: Uint8Array } = { first: 0, hashes: new Uint8Array() };
      const report = await verifyOrMissing({
        vkey,
        entries: entriesOf(log),
        checkpoints: [...notes.map(({ note }) => note), ...checkpoints],
        leafHashAt: async (index) => {
          const first = index - (index % TILE_WIDTH);
          if (page.first !== first || page.hashes.byteLength === 0) {
            const rows = await storage.db
              .selectFrom('records')
              .select('leaf_hash')
              .where('log', '=', log)
              .where('sequence', '>=', first)
              .where('sequence', '<', first + TILE_WIDTH)
              .orderBy('sequence')
              .execute();
            page = { first, hashes: Buffer.concat(rows.map(({ leaf_hash }) => leaf_hash)) };
          }
          const at = (index - first) * HASH_BYTES;
          return at + HASH_BYTES <= page.hashes.byteLength ? page.hashes.slice(at, at + HASH_BYTES) : undefined;
        },
        sha256: nodeSha256,
        ...(onProgress && { onProgress: ({ verified, total }) => onProgress(verified, total) }),
      });
      if (report.ok) return { ok: true, size: report.size + report.uncovered, problem: null };
      return {
        ok: false,
        size: notes.at(-1)?.size ?? 0,
        problem: `${report.fault.kind}: ${report.fault.detail}`,
      };
    },
  };
}

function tileAt(path: string): ReturnType<typeof parseTilePath> | undefined {
  try {
    return parseTilePath(path);
  } catch (error) {
    // A path that is no tile's names nothing, like that of a tile that is not there.
    if (error instanceof VerifierError) return undefined;
    throw error;
  }
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

/** The root over the 256 hashes of a full tile: one hash of the tile level above. */
function rootOf(hashes: Uint8Array): Uint8Array {
  const tree = emptyTree();
  for (let at = 0; at < hashes.byteLength; at += HASH_BYTES)
    appendLeaf(tree, hashes.subarray(at, at + HASH_BYTES), nodeSha256);
  return treeRoot(tree, nodeSha256);
}
