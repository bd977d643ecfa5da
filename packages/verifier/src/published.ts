/**
 * A log as it is published (c2sp.org/tlog-tiles): a directory, a bucket or an address with `checkpoint`, tiles of hashes and bundles of
 * entries. Nothing that comes from there is believed before the signed root confirms it.
 */

import { HASH_BYTES, leafHash, nodeHash, sameBytes, VerifierError } from './merkle.ts';
import type { OpenedCheckpoint } from './note.ts';
import { sha256 as portableSha256, type Sha256 } from './sha256.ts';
import {
  decodeEntryBundle,
  type HashReader,
  MAX_ENTRY_BYTES,
  rootFromHashes,
  TILE_WIDTH,
  tileHashReader,
  tilePath,
} from './tiles.ts';
import {
  type Fault,
  faultOf,
  isWitnessed,
  openTrusted,
  parseTrust,
  type Trust,
  tooFewWitnesses,
  verifyLog,
} from './verify.ts';

/** The bytes at a path below the log's prefix; undefined where there are none. Throws where nothing can be read at all. */
export type TileSource = (path: string) => Promise<Uint8Array | undefined>;

export const MAX_RESOURCE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2);
const BUNDLES_AHEAD = 6;

export type PublishedLog = Trust & {
  source: TileSource;
  /** Signed notes that were kept elsewhere. */
  checkpoints?: readonly string[];
  /** Only records [from, to): each is proven to stand there in the tree that was signed. */
  from?: number;
  to?: number;
  onEntry?: (entry: Uint8Array, index: number) => void;
  onProgress?: (progress: { verified: number; total: number }) => void;
  sha256?: Sha256;
};

/** `size` is that of the newest checkpoint; `verified` how many records were looked at. */
export type PublishedReport =
  | { ok: true; size: number; verified: number; root: Uint8Array; checkpoints: number; witnessedBy: string[] }
  | { ok: false; fault: Fault };

/** Whether what is published is all that was signed, and nothing else. Throws on a bad `vkey`, and what `source` throws. */
export async function verifyPublished(log: PublishedLog): Promise<PublishedReport> {
  const trust = parseTrust(log);
  const found = await log.source('checkpoint');
  if (!found) return fail('no-checkpoint', 'there is no file "checkpoint"');
  const note = new TextDecoder().decode(found);
  try {
    const head = await openTrusted(note, trust);
    if (!isWitnessed(head.cosignatures, trust)) return { ok: false, fault: tooFewWitnesses(head.witnessedBy, trust) };
    return log.from === undefined && log.to === undefined
      ? await verifyWhole(log, note, head)
      : await verifyRange(log, head);
  } catch (error) {
    if (error instanceof Absent) return fail('missing', error.message, error.from, error.to);
    return { ok: false, fault: faultOf(error) };
  }
}

async function verifyWhole(log: PublishedLog, note: string, head: OpenedCheckpoint): Promise<PublishedReport> {
  const { source, sha256 = portableSha256 } = log;
  const { size } = head;
  const kept = log.checkpoints ?? [];
  let tile: { index: number; hashes: Uint8Array | undefined } = { index: -1, hashes: undefined };
  const storedTile = async (index: number) => {
    if (tile.index !== index) tile = { index, hashes: await optional(source, 0, index, widthOf(size, 0, index)) };
    return tile.hashes;
  };
  const tiles = createTileCheck(source, size, storedTile, sha256);
  const report = await verifyLog({
    ...log,
    entries: entriesOf(log, 0, size),
    checkpoints: [note, ...kept],
    leafHashAt: (index) => {
      const at = (index % TILE_WIDTH) * HASH_BYTES;
      const held = Math.floor(index / TILE_WIDTH);
      const cut = (hashes: Uint8Array | undefined) => hashes?.subarray(at, at + HASH_BYTES);
      return tile.index === held ? cut(tile.hashes) : storedTile(held).then(cut);
    },
    onLeaf: tiles.add,
  });
  if (!report.ok) return report;
  if (report.uncovered > 0)
    return fail('inserted', `${report.uncovered} records behind the checkpoint`, size, size + report.uncovered);
  const wrong = await tiles.end();
  if (wrong) return fail('tile', `${wrong} is not what the records give`);
  const { root, checkpoints } = report;
  return { ok: true, size, verified: size, root, checkpoints, witnessedBy: head.witnessedBy };
}

async function verifyRange(log: PublishedLog, head: OpenedCheckpoint): Promise<PublishedReport> {
  const { sha256 = portableSha256, from = 0, to = head.size } = log;
  if (![from, to].every((index) => Number.isSafeInteger(index) && index >= 0))
    return fail('format', 'a range begins and ends at whole numbers of records');
  if (from > to || to > head.size)
    return fail('truncated', `the log ends at ${head.size}`, head.size, Math.max(from, to));
  const read = await confirmedReader(log.source, head, sha256);
  const trust = parseTrust(log);
  for (const [checkpoint, note] of (log.checkpoints ?? []).entries()) {
    const { size, root } = await openTrusted(note, { ...trust, policy: { ...trust.policy, isMet: () => true } });
    if (size > head.size)
      return fail('truncated', `the log ends at ${head.size} of ${size} records`, head.size, size, checkpoint);
    if (!sameBytes(await rootFromHashes(size, read, sha256), root))
      return fail(
        'fork',
        `the first ${size} records are not those that checkpoint ${checkpoint} commits to`,
        0,
        size,
        checkpoint,
      );
  }
  let index = from;
  for await (const entry of entriesOf(log, from, to)) {
    if (index >= to) return fail('inserted', `there are more entries than there should be`, index, index + 1);
    if (!sameBytes(leafHash(entry, sha256), await read(0, index)))
      return fail('edited', `record ${index} is not the one that was logged`, index, index + 1);
    index += 1;
    if ((index - from) % 10_000 === 0) log.onProgress?.({ verified: index - from, total: to - from });
  }
  if (index < to) return fail('missing', `records [${index}, ${to}) are not there`, index, to);
  log.onProgress?.({ verified: to - from, total: to - from });
  const { size, root, witnessedBy } = head;
  return { ok: true, size, verified: to - from, root, checkpoints: 1 + (log.checkpoints?.length ?? 0), witnessedBy };
}

/** The entries of [from, to), and what a bundle has too many of; several bundles are fetched ahead. */
async function* entriesOf({ source, onEntry }: PublishedLog, from: number, to: number): AsyncGenerator<Uint8Array> {
  const bundles: Promise<Uint8Array[]>[] = [];
  const last = Math.ceil(to / TILE_WIDTH);
  let next = Math.floor(from / TILE_WIDTH);
  const fetchNext = () => {
    const index = next++;
    const bundle = readBundle(source, index, Math.min(TILE_WIDTH, to - index * TILE_WIDTH), from, to);
    // Its failure is met when its turn comes.
    bundle.catch(() => undefined);
    bundles.push(bundle);
  };
  let at = from;
  while (bundles.length > 0 || next < last) {
    while (bundles.length < BUNDLES_AHEAD && next < last) fetchNext();
    for (const entry of (await bundles.shift()) ?? []) {
      onEntry?.(entry, at++);
      yield entry;
    }
  }
}

async function readBundle(source: TileSource, index: number, width: number, from: number, to: number) {
  const first = index * TILE_WIDTH;
  const skip = Math.max(0, from - first);
  const exact = await source(tilePath({ level: 'entries', index, width }));
  if (exact) return decodeEntryBundle(exact).slice(skip);
  // What was partial may have been completed, and removed, since; one range ends where no checkpoint did.
  const full = width < TILE_WIDTH ? await source(tilePath({ level: 'entries', index, width: TILE_WIDTH })) : undefined;
  if (full) return decodeEntryBundle(full).slice(skip, width);
  const size = await sizeOf(source);
  const partial = size - first;
  const held =
    partial > width && partial < TILE_WIDTH
      ? await source(tilePath({ level: 'entries', index, width: partial }))
      : undefined;
  if (held) return decodeEntryBundle(held).slice(skip, width);
  throw new Absent(tilePath({ level: 'entries', index, width }), Math.max(from, first), Math.min(to, first + width));
}

const sizeOf = async (source: TileSource): Promise<number> =>
  Number(new TextDecoder().decode((await source('checkpoint')) ?? new Uint8Array()).split('\n')[1]);

class Absent extends Error {
  readonly from: number;
  readonly to: number;
  constructor(path: string, from: number, to: number) {
    super(`${path} is not there`);
    this.from = from;
    this.to = to;
  }
}

const widthOf = (size: number, level: number, index: number): number =>
  Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);

async function optional(source: TileSource, level: number, index: number, width: number) {
  if (width < 1) return undefined;
  const exact = await source(tilePath({ level, index, width }));
  if (exact || width === TILE_WIDTH) return exact;
  return (await source(tilePath({ level, index, width: TILE_WIDTH })))?.slice(0, width * HASH_BYTES);
}

/** Compares each stored tile with what the records give. `end` gives the first that differs, if one does. */
function createTileCheck(
  source: TileSource,
  size: number,
  storedLeaves: (index: number) => Promise<Uint8Array | undefined>,
  sha256: Sha256,
) {
  const levels: { index: number; count: number; hashes: Uint8Array }[] = [];
  let wrong: string | undefined;
  const levelAt = (level: number) => {
    levels[level] ??= { index: 0, count: 0, hashes: new Uint8Array(TILE_WIDTH * HASH_BYTES) };
    return levels[level];
  };
  const compare = async (level: number): Promise<void> => {
    const { index, count, hashes } = levelAt(level);
    if (wrong !== undefined || count === 0) return;
    const stored = level === 0 ? await storedLeaves(index) : await optional(source, level, index, count);
    if (!stored || !sameBytes(stored, hashes.subarray(0, count * HASH_BYTES)))
      wrong = tilePath({ level, index, width: count });
  };
  const push = async (level: number, hash: Uint8Array): Promise<void> => {
    const tile = levelAt(level);
    tile.hashes.set(hash, tile.count * HASH_BYTES);
    tile.count += 1;
    if (tile.count < TILE_WIDTH) return;
    await compare(level);
    await push(level + 1, rootOfTile(tile.hashes, sha256));
    tile.index += 1;
    tile.count = 0;
  };
  const leaves = levelAt(0);
  let done = 0;
  return {
    add(leaf: Uint8Array): undefined | Promise<void> {
      if (++done > size) return undefined;
      if (leaves.count === TILE_WIDTH - 1) return push(0, leaf);
      leaves.hashes.set(leaf, leaves.count * HASH_BYTES);
      leaves.count += 1;
      return undefined;
    },
    async end(): Promise<string | undefined> {
      for (let level = 0; level < levels.length; level++) await compare(level);
      return wrong;
    },
  };
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

function fail(kind: Fault['kind'], detail: string, from?: number, to?: number, checkpoint?: number): PublishedReport {
  const where = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  return { ok: false, fault: { kind, detail, ...where, ...(checkpoint !== undefined && { checkpoint }) } };
}
