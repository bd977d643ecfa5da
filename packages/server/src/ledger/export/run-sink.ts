import { setTimeout as wait } from 'node:timers/promises';
import type { SinkManifest } from '@gatehouse/protocol';
import type { Clock, Log } from '../../platform/index.ts';
import { deliver } from './deliver.ts';
import { exportLimits } from './limits.ts';
import { plainLine } from './line.ts';
import type { Positions, SinkPosition } from './positions.ts';
import type { Batch } from './read.ts';
import type { Reader } from './reader.ts';
import { DeliveryFailure, type Destination, type Encoded } from './types.ts';

export interface SinkRun {
  sink: SinkManifest;
  reader: Reader;
  positions: Positions;
  destination: Destination;
  undisputed(): Encoded;
  clock: Clock;
  log: Log;
  random(): number;
}

/** How often a sink that works is said to. */
const NOTE_EVERY_MS = 2_000;

/**
 * The loop of one sink on one replica: waits until nobody else delivers, then takes batch after batch from the database. Nothing waits in
 * memory but the batch under way, and nothing of the gate or of another sink waits for it. Returns the way to end it.
 */
export function runSink(run: SinkRun): () => Promise<void> {
  const { sink, reader, positions, destination, clock, log, random } = run;
  const stopped = new AbortController();
  const { signal } = stopped;
  let failures = 0;
  let failingSince = 0;
  let notedAt = 0;
  let isHeld = false;
  let warnedAt: number | undefined;

  const sleep = (ms: number) => wait(ms, undefined, { signal, ref: false }).catch(() => undefined);

  const renewal = setInterval(() => {
    if (!isHeld) return;
    positions.hold(sink.name).then(
      (held) => {
        isHeld = held;
      },
      // Without the database nothing is read either; the lease runs out by itself.
      () => undefined,
    );
  }, exportLimits.renewMs);
  renewal.unref();

  async function take(position: SinkPosition, batch: Batch): Promise<void> {
    const refused = [...batch.unfit];
    if (batch.records.length > 0)
      for (const [{ sequence }, reason] of await deliver(batch.records, destination, run.undisputed, signal))
        refused.push({ sequence, reason: plainLine(reason, exportLimits.problemChars) });
    if (refused.length > 0) {
      await positions.setAside(sink.name, position.log, refused);
      log.warn('a sink refuses records for good; they are set aside', {
        sink: sink.name,
        log: position.log,
        records: refused.slice(0, 10),
      });
    }
    // Paused, replayed or taken over meanwhile: it is looked at anew.
    const missed = batch.removed.filter((sequence) => sequence >= position.reached).length;
    if (!(await positions.advance(sink.name, position, batch.next, missed))) isHeld = false;
    else if (missed > 0)
      log.warn('retention has removed records before they were sent to a sink', {
        sink: sink.name,
        log: position.log,
        records: missed,
      });
  }

  /** S3 and the like: few large objects instead of many small ones. */
  const isDue = ({ isFull, firstAt }: Batch) =>
    isFull || !('everySeconds' in sink.to) || clock.now() - firstAt >= sink.to.everySeconds * 1_000;

  /** One batch of each log. True when there may be more. */
  async function turn(): Promise<boolean> {
    let isMore = false;
    for (const position of await positions.all(sink)) {
      if (signal.aborted || !isHeld) return false;
      const batch = await reader.read(sink, position);
      if (batch) warnOf(batch);
      if (!batch || !isDue(batch)) continue;
      await take(position, batch);
      isMore ||= batch.isFull;
      await succeeded();
    }
    return isMore;
  }

  async function succeeded(): Promise<void> {
    if (failures === 0 && clock.now() - notedAt < NOTE_EVERY_MS) return;
    if (failures > 0) log.info('a sink takes records again', { sink: sink.name });
    failures = 0;
    notedAt = clock.now();
    await positions.succeeded(sink.name);
  }

  function warnOf({ firstAt }: Batch): void {
    const age = clock.now() - firstAt;
    if (age <= sink.warnAfterSeconds * 1_000) {
      warnedAt = undefined;
      return;
    }
    if (warnedAt !== undefined) return;
    warnedAt = clock.now();
    log.warn('a sink is behind', { sink: sink.name, seconds: Math.round(age / 1_000) });
  }

  async function failed(error: unknown): Promise<number> {
    const problem = plainLine(error instanceof Error ? error.message : String(error), exportLimits.problemChars);
    if (failures === 0) {
      failingSince = clock.now();
      log.warn('a sink does not take records; it is tried again', { sink: sink.name, problem });
    }
    const longest = Math.min(exportLimits.longestRetryMs, exportLimits.firstRetryMs * 2 ** Math.min(failures, 16));
    failures++;
    const asked = error instanceof DeliveryFailure ? error.retryAfterMs : undefined;
    const delay = Math.round(asked ?? longest * (0.5 + random() / 2));
    await positions.failed(sink.name, problem, failingSince, clock.now() + delay).catch(() => undefined);
    return delay;
  }

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      let rest: number = exportLimits.pollMs;
      const since = performance.now();
      try {
        if (!isHeld) {
          await positions.row(sink.name);
          isHeld = await positions.hold(sink.name);
        }
        // A backlog leaves time to what else runs here.
        if (isHeld)
          rest = (await turn()) ? Math.min((performance.now() - since) / 4, exportLimits.restMs) : exportLimits.pollMs;
        else rest = exportLimits.renewMs;
      } catch (error) {
        if (!signal.aborted) rest = await failed(error);
      }
      if (rest > 0) await sleep(rest);
    }
  }

  const ended = loop();
  return async () => {
    stopped.abort();
    clearInterval(renewal);
    await destination.close().catch(() => undefined);
    await ended;
    await positions.release(sink.name).catch(() => undefined);
  };
}
