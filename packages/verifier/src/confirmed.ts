/** Tree hashes of a published log, none of which is believed before the signed root confirms it. */

import { HASH_BYTES, nodeHash, sameBytes, VerifierError } from './merkle.ts';
import { sha256 as portableSha256, type Sha256 } from './sha256.ts';
import { type HashReader, rootFromHashes, TILE_WIDTH, tileHashReader, tilePath } from './tiles.ts';

/** The bytes at a path below the log's prefix; undefined where there are none. Throws where nothing can be read at all. */
export type TileSource = (path: string) => Promise<Uint8Array | undefined>;

export const widthOf = (size: number, level: number, index: number): number =>
  Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);

export async function optional(source: TileSource, level: number, index: number, width: number) {
  if (width < 1) return undefined;
  const exact = await source(tilePath({ level, index, width }));
  if (exact || width === TILE_WIDTH) return exact;
  return (await source(tilePath({ level, index, width: TILE_WIDTH })))?.slice(0, width * HASH_BYTES);
}

/**
 * Tree hashes that the signed root confirms: those on the right edge together give the root, and any other tile gives the hash that a
 * confirmed tile above it has. What does not fit throws `VerifierError`.
 */
export async function confirmedReader(
  source: TileSource,
  { size, root }: { size: number; root: Uint8Array },
  sha256: Sha256 = portableSha256,
): Promise<HashReader> {
  const confirmed = new Map<string, Uint8Array>();
  const edge = new Map<string, Uint8Array>();
  const fetchTile = async (level: number, index: number, width: number): Promise<Uint8Array> => {
    const tile = await optional(source, level, index, width);
    if (!tile) throw new VerifierError('format', `${tilePath({ level, index, width })} is not there`);
    if (tile.length !== width * HASH_BYTES)
      throw new VerifierError('format', `${tilePath({ level, index, width })} does not have its full width`);
    return tile;
  };
  const readEdge = tileHashReader(
    size,
    async (level, index, width) => {
      const tile = await fetchTile(level, index, width);
      edge.set(`${level}/${index}`, tile);
      return tile;
    },
    sha256,
  );
  if (!sameBytes(await rootFromHashes(size, readEdge, sha256), root))
    throw new VerifierError('format', 'the tiles do not give the signed root');

  const readTile = async (level: number, index: number, width: number): Promise<Uint8Array> => {
    const name = `${level}/${index}`;
    const known = edge.get(name) ?? confirmed.get(name);
    if (known) return known;
    const above = await readTile(
      level + 1,
      Math.floor(index / TILE_WIDTH),
      widthOf(size, level + 1, Math.floor(index / TILE_WIDTH)),
    );
    const tile = await fetchTile(level, index, width);
    const at = (index % TILE_WIDTH) * HASH_BYTES;
    if (!sameBytes(rootOfTile(tile, sha256), above.subarray(at, at + HASH_BYTES)))
      throw new VerifierError('format', `${tilePath({ level, index, width })} is not the tile that was signed`);
    if (confirmed.size > MAX_CONFIRMED_TILES) confirmed.clear();
    confirmed.set(name, tile);
    return tile;
  };
  const whole = tileHashReader(size, readTile, sha256);
  return (level, index) => {
    const tile = level === 0 ? confirmed.get(`0/${Math.floor(index / TILE_WIDTH)}`) : undefined;
    const at = (index % TILE_WIDTH) * HASH_BYTES;
    return tile ? tile.subarray(at, at + HASH_BYTES) : whole(level, index);
  };
}

const MAX_CONFIRMED_TILES = 4_096;

export function rootOfTile(hashes: Uint8Array, sha256: Sha256 = portableSha256): Uint8Array {
  let row: Uint8Array[] = [];
  for (let at = 0; at < hashes.length; at += HASH_BYTES) row.push(hashes.subarray(at, at + HASH_BYTES));
  if (row.length !== TILE_WIDTH) throw new VerifierError('format', 'a tile is not full');
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < row.length; at += 2)
      above.push(nodeHash(row[at] as Uint8Array, row[at + 1] as Uint8Array, sha256));
    row = above;
  }
  return row[0] as Uint8Array;
}
