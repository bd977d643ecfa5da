import type { PublishingView } from '@gatehouse/protocol';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  openCheckpoint,
  parseVerifierKey,
  rootFromHashes,
  sameBytes,
  TILE_WIDTH,
  tilePath,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { type Clock, GatehouseError, type Log } from '../platform/index.ts';
import type { RecordChange, Storage } from '../storage/index.ts';
import { ledgerLimits } from './limits.ts';
import type { PublishingPlace } from './publishing-places.ts';
import type { StoredLogs } from './stored.ts';
import type { LogResource } from './types.ts';
import { createUnpublishing } from './unpublish.ts';

/**
 * Keeps a copy of this replica's log where anybody whom its place lets in can read it (c2sp.org/tlog-tiles): full tiles and bundles once,
 * the checkpoint last, so that what it commits to is always there. What is published there already must be the beginning of this log:
 * it is the operator's own proof, and nothing is written over it, but for entries that retention takes out.
 */
export function createPublisher(deps: {
  place: PublishingPlace;
  storage: Pick<Storage, 'db' | 'transaction'>;
  recordChange: RecordChange;
  stored: StoredLogs;
  resource(log: string, path: string): Promise<LogResource | undefined>;
  logId: string;
  vkey: string;
  clock: Clock;
  log: Log;
}) {
  const { place, stored, resource, logId, clock, log } = deps;
  const prefix = prefixOf(logId);
  const view: PublishingView = { place: `${place.name}/${prefix}`, size: 0, at: null, problem: null };
  const unpublish = createUnpublishing({ ...deps, prefixOf });
  let isKnown = false;
  let shown = '';
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let timerAt = 0;
  let lastAt = 0;
  let running = false;
  let again = false;
  let closed = false;

  function wake(afterMs = 0): void {
    if (running) again = true;
    const at = Math.max(clock.now() + afterMs, lastAt + ledgerLimits.publishEveryMs);
    if (closed || running || (timer && timerAt <= at)) return;
    clearTimeout(timer);
    timerAt = at;
    timer = setTimeout(() => void turn(), at - clock.now());
    timer.unref();
  }

  async function turn(): Promise<void> {
    timer = undefined;
    running = true;
    again = false;
    lastAt = clock.now();
    try {
      await publish();
      await unpublish(view.size);
      if (view.problem !== null) log.info('the log is published again', { place: view.place });
      failures = 0;
      view.problem = null;
    } catch (error) {
      if (view.problem === null) log.error('the log could not be published', { place: view.place, error });
      view.problem = error instanceof Error ? error.message : String(error);
      failures += 1;
    }
    running = false;
    if (failures > 0) wake(Math.min(ledgerLimits.publishRetryMs, 1_000 * 2 ** (failures - 1)));
    else if (again) wake();
  }

  async function publish(): Promise<void> {
    if (!isKnown) {
      view.size = await sizeThere();
      isKnown = true;
    }
    const checkpoint = await resource(logId, 'checkpoint');
    if (!checkpoint) return;
    const note = Buffer.from(checkpoint.body).toString('utf8');
    const size = Number(note.split('\n')[1]);
    if (note === shown || size < view.size) return;
    await inParallel(pathsBetween(view.size, size), async ({ path, completes, before }) => {
      const found = await resource(logId, path);
      if (!found) throw new GatehouseError('internal', 'publish.gap', `${path} of ${logId} is not there`);
      await place.write(`${prefix}/${path}`, before === undefined ? found : await withWhatIsThere(found, path, before));
      if (completes) await place.removeBelow(`${prefix}/${path}.p`);
    });
    await place.write(`${prefix}/checkpoint`, checkpoint);
    shown = note;
    view.size = size;
    view.at = clock.now();
  }

  /** A bundle with the entries of its copy so far where the database has none any more: that they go from there is not decided here. */
  async function withWhatIsThere(bundle: LogResource, path: string, before: string | null): Promise<LogResource> {
    const entries = decodeEntryBundle(bundle.body);
    if (entries.every(({ length }) => length > 0)) return bundle;
    const smaller = before === null ? undefined : await place.read(`${prefix}/${before}`);
    const copy = smaller ?? (await place.read(`${prefix}/${path}`));
    const copied = copy ? decodeEntryBundle(copy) : [];
    const kept = entries.map((entry, at) => (entry.length > 0 ? entry : (copied[at] ?? entry)));
    return { ...bundle, body: encodeEntryBundle(kept) };
  }

  /** Throws where what is there is not the beginning of this log. */
  async function sizeThere(): Promise<number> {
    const there = await place.read(`${prefix}/checkpoint`);
    if (!there) return 0;
    const taken = (why: string, cause?: unknown) =>
      new GatehouseError(
        'conflict',
        'publish.other-log',
        `${view.place} holds a log that this one does not continue: ${why}. Nothing is written over it. Publish to another place, and have both compared.`,
        { cause },
      );
    const published = await openCheckpoint(there.toString('utf8'), parseVerifierKey(deps.vkey)).catch(
      (cause: unknown) => {
        throw taken('its checkpoint is not signed by this log’s key', cause);
      },
    );
    const own = await stored.newest(logId);
    if (!own || own.size < published.size)
      throw taken(`it has ${published.size} records, and this log has ${own?.size ?? 0}: records were taken back`);
    const root = await rootFromHashes(published.size, stored.hashReader(logId, own.size), nodeSha256);
    if (!sameBytes(root, published.root)) throw taken(`its first ${published.size} records are others`);
    return published.size;
  }

  return {
    wake: () => wake(),
    view: (): PublishingView => ({ ...view }),
    async close(): Promise<void> {
      closed = true;
      clearTimeout(timer);
      await place.close();
    },
  };
}

const prefixOf = (log: string): string => encodeURIComponent(log.slice(log.indexOf('/log/') + 5));

interface Path {
  path: string;
  /** Partial ones of it are of no more use. */
  completes: boolean;
  /** Of a bundle of entries: the smaller one that is published so far, or null. */
  before?: string | null;
}

/** What a tree of `to` records has and one of `from` has not. */
function* pathsBetween(from: number, to: number): Generator<Path> {
  for (let level = 0, [old, now] = [from, to]; now > 0; level++) {
    for (let index = Math.floor(old / TILE_WIDTH); index * TILE_WIDTH < now; index++) {
      const width = Math.min(TILE_WIDTH, now - index * TILE_WIDTH);
      const widthSoFar = old - index * TILE_WIDTH;
      if (widthSoFar === width) continue;
      const completes = width === TILE_WIDTH;
      if (level === 0) {
        const before = widthSoFar > 0 ? tilePath({ level: 'entries', index, width: widthSoFar }) : null;
        yield { path: tilePath({ level: 'entries', index, width }), completes, before };
      }
      yield { path: tilePath({ level, index, width }), completes };
    }
    [old, now] = [Math.floor(old / TILE_WIDTH), Math.floor(now / TILE_WIDTH)];
  }
}

/** The first failure ends it, once what is under way has ended. */
async function inParallel<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let isFailed = false;
  const lane = async () => {
    for (let next = iterator.next(); !next.done && !isFailed; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: ledgerLimits.publishAtOnce }, lane));
  const failure = ended.find(({ status }) => status === 'rejected');
  if (failure) throw (failure as PromiseRejectedResult).reason;
}
