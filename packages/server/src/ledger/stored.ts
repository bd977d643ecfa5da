import { type HashReader, TILE_WIDTH, tileHashReader } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { sql } from 'kysely';
import { GatehouseError } from '../platform/index.ts';
import { logSize, type Storage } from '../storage/index.ts';
import { HASH_BYTES } from './edge.ts';

/** A signed note with the cosignatures that it has got so far. */
export interface StoredCheckpoint {
  size: number;
  note: string;
  at: number;
  /** When its cosignatures were enough; null while they are not. */
  cosignedAt: number | null;
}

export type StoredLogs = ReturnType<typeof createStoredLogs>;

/** What is stored of the trees, of any log in the database. */
export function createStoredLogs({ db, dialect }: Pick<Storage, 'db' | 'dialect'>) {
  const checkpoints = (log: string) =>
    db.selectFrom('checkpoints').select(['size', 'note', 'cosignatures', 'at', 'cosigned_at']).where('log', '=', log);

  const sizeOf = (log: string) => logSize(db, log);

  /** As one text from the database: a row for each hash costs more than the hashes. */
  const joined =
    dialect === 'sqlite'
      ? sql<string | null>`group_concat(hex(leaf_hash), '' order by sequence)`
      : sql<string | null>`string_agg(encode(leaf_hash, 'hex'), '' order by sequence)`;

  async function leafHashes(log: string, from: number, to: number): Promise<Uint8Array> {
    const { hashes } = await db
      .selectFrom('records')
      .select(joined.as('hashes'))
      .where('log', '=', log)
      .where('sequence', '>=', from)
      .where('sequence', '<', to)
      .executeTakeFirstOrThrow();
    const bytes = Buffer.from(hashes ?? '', 'hex');
    const count = bytes.length / HASH_BYTES;
    if (count !== to - from)
      throw new GatehouseError(
        'internal',
        'ledger.gap',
        `Log ${log} has ${count} of the records ${from} to ${to - 1}.`,
      );
    return bytes;
  }

  async function entries(log: string, from: number, to: number): Promise<Uint8Array[]> {
    const rows = await db
      .selectFrom('records')
      .select(['entry', 'sequence'])
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
    return rows.map(({ entry }) => Buffer.from(entry));
  }

  async function tile(log: string, level: number, index: number, width: number): Promise<Uint8Array> {
    const first = index * TILE_WIDTH;
    if (level === 0) return leafHashes(log, first, first + width);
    const row = await db
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

  /** `before`: of those that were signed by then. */
  async function newest(log: string, before = Number.MAX_SAFE_INTEGER): Promise<StoredCheckpoint | undefined> {
    return toCheckpoint(
      await checkpoints(log).where('at', '<=', before).orderBy('size', 'desc').limit(1).executeTakeFirst(),
    );
  }

  async function newestCosigned(log: string): Promise<StoredCheckpoint | undefined> {
    return toCheckpoint(
      await checkpoints(log).where('cosigned_at', 'is not', null).orderBy('size', 'desc').limit(1).executeTakeFirst(),
    );
  }

  async function vkeyOf(log: string): Promise<string | undefined> {
    const row = await db.selectFrom('logs').select('vkey').where('id', '=', log).executeTakeFirst();
    return row?.vkey;
  }

  /** Of a tree that has this size; for one proof, whose hashes are mostly in the same few tiles. */
  const hashReader = (log: string, size: number): HashReader => {
    const read = new Map<string, Promise<Uint8Array>>();
    const once = (level: number, index: number, width: number) => {
      const name = `${level}/${index}`;
      const found = read.get(name) ?? tile(log, level, index, width);
      read.set(name, found);
      return found;
    };
    return tileHashReader(size, once, nodeSha256);
  };

  return { sizeOf, leafHashes, entries, tile, newest, newestCosigned, vkeyOf, hashReader };
}

function toCheckpoint(
  row: { size: number; note: string; cosignatures: string; at: number; cosigned_at: number | null } | undefined,
): StoredCheckpoint | undefined {
  return row && { size: row.size, note: row.note + row.cosignatures, at: row.at, cosignedAt: row.cosigned_at };
}
