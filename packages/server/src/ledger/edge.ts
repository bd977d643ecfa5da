import { rootFromHashes, rootOfTile, TILE_WIDTH, tileHashReader } from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';

export const HASH_BYTES = 32;

/** A tile of the tree above the records, as it is stored. */
export interface TileRow {
  level: number;
  tile: number;
  width: number;
  hashes: Uint8Array;
}

/**
 * The right edge of a growing tree: on each level the tile that is not full yet. It is all that the next root needs, so that the cost of an
 * append does not grow with the log, and what was changed in the database below it changes no checkpoint.
 */
export class Edge {
  size = 0;
  #levels: { tile: number; width: number; hashes: Uint8Array }[] = [];
  #touched = new Map<string, TileRow>();

  /** `read` gives the stored tiles of a tree of this size. */
  static async load(
    size: number,
    read: (level: number, tile: number, width: number) => Promise<Uint8Array>,
  ): Promise<Edge> {
    const edge = new Edge();
    edge.size = size;
    for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
      const tile = Math.floor(count / TILE_WIDTH);
      const width = count % TILE_WIDTH;
      const hashes = new Uint8Array(TILE_WIDTH * HASH_BYTES);
      if (width > 0) hashes.set(await read(level, tile, width));
      edge.#levels.push({ tile, width, hashes });
    }
    return edge;
  }

  copy(): Edge {
    const copy = new Edge();
    copy.size = this.size;
    copy.#levels = this.#levels.map((level) => ({ ...level, hashes: level.hashes.slice() }));
    return copy;
  }

  append(leaf: Uint8Array): void {
    this.#push(0, leaf);
    this.size += 1;
  }

  #push(at: number, hash: Uint8Array): void {
    this.#levels[at] ??= { tile: 0, width: 0, hashes: new Uint8Array(TILE_WIDTH * HASH_BYTES) };
    const level = this.#levels[at];
    level.hashes.set(hash, level.width * HASH_BYTES);
    level.width += 1;
    // The lowest hashes stand in the records themselves.
    if (at > 0) {
      const hashes = level.hashes.slice(0, level.width * HASH_BYTES);
      this.#touched.set(`${at}/${level.tile}`, { level: at, tile: level.tile, width: level.width, hashes });
    }
    if (level.width < TILE_WIDTH) return;
    const root = rootOfTile(level.hashes, nodeSha256);
    level.tile += 1;
    level.width = 0;
    this.#push(at + 1, root);
  }

  root(): Promise<Uint8Array> {
    const read = tileHashReader(
      this.size,
      (level, _tile, width) => (this.#levels[level]?.hashes ?? new Uint8Array()).slice(0, width * HASH_BYTES),
      nodeSha256,
    );
    return rootFromHashes(this.size, read, nodeSha256);
  }

  /** Tiles that have changed since this was asked last. */
  takeTouched(): TileRow[] {
    const rows = [...this.#touched.values()];
    this.#touched = new Map();
    return rows;
  }
}
