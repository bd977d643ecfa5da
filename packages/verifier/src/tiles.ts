/**
 * What a log keeps and makes, so that others can verify it: stored tree hashes and entries (c2sp.org/tlog-tiles), and
 * proofs made from them. No verification relies on anything in this file.
 */

import {
  appendLeaf,
  emptyTree,
  HASH_BYTES,
  isCount,
  largestPowerOfTwoBelow,
  nodeHash,
  treeRoot,
  VerifierError,
} from './merkle.ts';
import { joinBytes, malformed } from './note.ts';
import { sha256 as portableSha256, type Sha256 } from './sha256.ts';

/** Largest record, in bytes: its length must fit the 16 bits before it in an entry bundle. */
export const MAX_ENTRY_BYTES = 65_535;
/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;

/** Gives the hash of the perfect subtree over leaves [index * 2^level, (index + 1) * 2^level); throws if it has none. */
export type HashReader = (level: number, index: number) => Uint8Array | Promise<Uint8Array>;

/** The inclusion proof (RFC 6962 section 2.1.1) for record `index` in the tree of the first `size` records. */
export async function inclusionProof(
  index: number,
  size: number,
  read: HashReader,
  sha256: Sha256 = portableSha256,
): Promise<Uint8Array[]> {
  if (!isCount(index) || !isCount(size) || index >= size) throw new RangeError(`no record ${index} in ${size} records`);
  const ranges: Range[] = [];
  for (let start = 0, end = size; end - start > 1; ) {
    const middle = start + largestPowerOfTwoBelow(end - start);
    ranges.unshift(index < middle ? [middle, end] : [start, middle]);
    if (index < middle) end = middle;
    else start = middle;
  }
  return Promise.all(ranges.map((range) => rangeHash(range, read, sha256)));
}

/** The consistency proof (RFC 6962 section 2.1.2) from the tree of `oldSize` records to that of `newSize`. */
export async function consistencyProof(
  oldSize: number,
  newSize: number,
  read: HashReader,
  sha256: Sha256 = portableSha256,
): Promise<Uint8Array[]> {
  if (!isCount(oldSize) || !isCount(newSize) || oldSize === 0 || oldSize > newSize) {
    throw new RangeError(`no consistency proof leads from ${oldSize} to ${newSize} records`);
  }
  const ranges: Range[] = [];
  let [start, end] = [0, newSize];
  while (oldSize !== end) {
    const middle = start + largestPowerOfTwoBelow(end - start);
    ranges.unshift(oldSize <= middle ? [middle, end] : [start, middle]);
    if (oldSize <= middle) end = middle;
    else start = middle;
  }
  if (start > 0) ranges.unshift([start, end]);
  return Promise.all(ranges.map((range) => rangeHash(range, read, sha256)));
}

/** The root of the tree of the first `size` records, from stored hashes. */
export function rootFromHashes(size: number, read: HashReader, sha256: Sha256 = portableSha256): Promise<Uint8Array> {
  return size === 0 ? Promise.resolve(sha256(new Uint8Array())) : rangeHash([0, size], read, sha256);
}

type Range = [start: number, end: number];

async function rangeHash([start, end]: Range, read: HashReader, sha256: Sha256): Promise<Uint8Array> {
  const width = end - start;
  const level = Math.floor(Math.log2(width));
  if (width === 2 ** level) return read(level, start / width);
  const middle = start + largestPowerOfTwoBelow(width);
  const [left, right] = await Promise.all([
    rangeHash([start, middle], read, sha256),
    rangeHash([middle, end], read, sha256),
  ]);
  return nodeHash(left, right, sha256);
}

/** Reads a tree of `size` records from its tiles (C2SP tlog-tiles): `readTile` gives `width` hashes, concatenated. */
export function tileHashReader(
  size: number,
  readTile: (level: number, index: number, width: number) => Uint8Array | Promise<Uint8Array>,
  sha256: Sha256 = portableSha256,
): HashReader {
  return async (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const count = 2 ** (level % TILE_HEIGHT);
    const tileIndex = Math.floor((index * count) / TILE_WIDTH);
    const hashesAtLevel = Math.floor(size / TILE_WIDTH ** tileLevel);
    const width = Math.min(TILE_WIDTH, hashesAtLevel - tileIndex * TILE_WIDTH);
    const first = (index * count) % TILE_WIDTH;
    if (first + count > width) throw new RangeError(`no subtree ${index} at level ${level} in ${size} records`);
    const tile = await readTile(tileLevel, tileIndex, width);
    if (tile.length !== width * HASH_BYTES) throw new VerifierError('format', 'a tile does not have its full width');
    const tree = emptyTree();
    for (let i = first; i < first + count; i++) {
      appendLeaf(tree, tile.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES), sha256);
    }
    return treeRoot(tree, sha256);
  };
}

/** A tile of tree hashes (`level` 0 to 63) or a bundle of entries; partial if `width` is below 256. */
export type TileName = { level: number | 'entries'; index: number; width: number };

/** `tile/<level>/<index>[.p/<width>]`, index 1234067 being `x001/x234/067`. */
export function tilePath({ level, index, width }: TileName): string {
  const groups = [String(index % 1000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  }
  return `tile/${level}/${groups.join('/')}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

export function parseTilePath(path: string): TileName {
  const match = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  const level: TileName['level'] = match?.[1] === 'entries' ? 'entries' : Number(match?.[1]);
  const name = { level, index: Number(match?.[2]?.replace(/[x/]/g, '')), width: Number(match?.[3] ?? TILE_WIDTH) };
  const outOfRange =
    name.width < 1 || name.width > TILE_WIDTH || !Number.isSafeInteger(name.index) || Number(level) > 63;
  if (!match || outOfRange || tilePath(name) !== path) throw malformed('the path of a tile');
  return name;
}

/** Entries, each behind its length as 16 bits, big-endian. */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Uint8Array {
  return joinBytes(
    ...entries.flatMap((entry) => {
      if (entry.length > MAX_ENTRY_BYTES) throw malformed(`a record of more than ${MAX_ENTRY_BYTES} bytes`);
      return [Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry];
    }),
  );
}

export function decodeEntryBundle(bundle: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bundle.length; ) {
    const start = at + 2;
    at = start + ((bundle[at] ?? 0) << 8) + (bundle[at + 1] ?? 0);
    if (start > bundle.length || at > bundle.length) throw malformed('the entry bundle');
    entries.push(bundle.slice(start, at));
  }
  return entries;
}
