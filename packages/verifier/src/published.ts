/**
 * A log as it is published (c2sp.org/tlog-tiles): a directory, a bucket or an address with `checkpoint`, tiles of hashes and bundles of
 * entries. Nothing that comes from there is believed before the signed root confirms it.
 */

import { confirmedReader, optional, rootOfTile, type TileSource, widthOf } from './confirmed.ts';
import { HASH_BYTES, leafHash, sameBytes } from './merkle.ts';
import type { OpenedCheckpoint } from './note.ts';
import { emptyAbsences, explain, noteAbsent, type Removal, removalIn } from './removals.ts';
import { sha256 as portableSha256, type Sha256 } from './sha256.ts';
import { decodeEntryBundle, MAX_ENTRY_BYTES, rootFromHashes, TILE_WIDTH, tilePath } from './tiles.ts';
import {
  type Fault,
  faultOf,
  isWitnessed,
  openTrusted,
  parseTrust,
  type RemovalReport,
  type Trust,
  tooFewWitnesses,
  verifyLog,
} from './verify.ts';

export const MAX_RESOURCE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2);
const BUNDLES_AHEAD = 6;

export type PublishedLog = Trust & {
  source: TileSource;
  /** Signed notes that were kept elsewhere. */
  checkpoints?: readonly string[];
  /** Only records [from, to): each is proven to stand there in the tree that was signed. */
  from?: number;
  to?: number;
  /** Of no bytes where its content was removed. */
  onEntry?: (entry: Uint8Array, index: number) => void;
  onProgress?: (progress: { verified: number; total: number }) => void;
  /** What other logs, which were verified, say was removed. */
  removals?: readonly Removal[];
  sha256?: Sha256;
};

/** `size` is that of the newest checkpoint; `verified` how many records were looked at. */
export type PublishedReport =
  | ({
      ok: true;
      size: number;
      verified: number;
      root: Uint8Array;
      checkpoints: number;
      witnessedBy: string[];
    } & RemovalReport)
  | { ok: false; fault: Fault; recorded?: Removal[] };

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
  const { root, checkpoints, removed, removals, recorded } = report;
  const { witnessedBy } = head;
  return { ok: true, size, verified: size, root, checkpoints, witnessedBy, removed, removals, recorded };
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
  const absences = emptyAbsences();
  const note = (entry: Uint8Array, at: number) => {
    const removal = removalIn(entry, { log: trust.origin, index: at });
    if (removal) absences.recorded.push(removal);
  };
  let index = from;
  for await (const entry of entriesOf(log, from, to)) {
    if (index >= to) return fail('inserted', `there are more entries than there should be`, index, index + 1);
    if (entry.length === 0) noteAbsent(absences, index);
    else if (!sameBytes(leafHash(entry, sha256), await read(0, index)))
      return fail('edited', `record ${index} is not the one that was logged`, index, index + 1);
    else note(entry, index);
    index += 1;
    if ((index - from) % 10_000 === 0) log.onProgress?.({ verified: index - from, total: to - from });
  }
  if (index < to) return fail('missing', `records [${index}, ${to}) are not there`, index, to);
  // What says that something was removed stands behind it, wherever that is.
  if (absences.ranges.length > 0) {
    let at = to;
    for await (const entry of entriesOf({ ...log, onEntry: () => undefined }, to, head.size)) {
      if (removalIn(entry, { log: trust.origin, index: at }) && sameBytes(leafHash(entry, sha256), await read(0, at)))
        note(entry, at);
      at += 1;
    }
  }
  const { recorded } = absences;
  const within = recorded.filter((each) => overlaps(each, absences.ranges));
  const given = (log.removals ?? []).filter((each) => overlaps(each, absences.ranges));
  const explained = await explain(trust.origin, { ...absences, recorded: within }, given, (at) => read(0, at), sha256);
  if (!explained.ok) return { ...explained, recorded };
  const { removed, removals } = explained;
  log.onProgress?.({ verified: to - from, total: to - from });
  const { size, root, witnessedBy } = head;
  const checkpoints = 1 + (log.checkpoints?.length ?? 0);
  return { ok: true, size, verified: to - from, root, checkpoints, witnessedBy, removed, removals, recorded };
}

/** Whether it names anything between the first and the last of what is missing. */
const overlaps = ({ ranges }: Removal, absent: readonly number[]): boolean =>
  absent.length > 0 && ranges.some(([first, end]) => first < (absent.at(-1) as number) && end > (absent[0] as number));

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

function fail(kind: Fault['kind'], detail: string, from?: number, to?: number, checkpoint?: number): PublishedReport {
  const where = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  return { ok: false, fault: { kind, detail, ...where, ...(checkpoint !== undefined && { checkpoint }) } };
}
