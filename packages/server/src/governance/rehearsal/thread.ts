import { Worker } from 'node:worker_threads';
import type { ObservedPolicy, ReplayResult } from '@gatehouse/protocol';
import { GatehouseError, type Log } from '../../platform/index.ts';
import type { HistoryPlace } from '../../storage/index.ts';
import type { DecidingParts } from './decider.ts';
import { rehearsalLimits as limits } from './limits.ts';
import type { ReplayRange } from './replay.ts';

export type ReplayJob = {
  place: HistoryPlace;
  range: ReplayRange;
  trustDomain: string;
  /** Shared: not 0 when nobody waits for it any more. */
  stop: SharedArrayBuffer;
} & (
  | { kind: 'replay'; before: DecidingParts /** Null: nothing is changed. */; after: DecidingParts | null }
  | { kind: 'observed' }
);

export type ReplayMessage =
  | { type: 'progress'; decisions: number; share: number }
  | { type: 'result'; result: ReplayResult }
  | { type: 'observed'; decisions: number; items: ObservedPolicy[] }
  | { type: 'problem'; code: string; detail: string };

export type Progress = (progress: { decisions: number; share: number }) => void;

export interface ReplayThreads {
  run(job: JobOf<'replay'>, onProgress: Progress, signal: AbortSignal): Promise<ReplayResult>;
  observed(job: JobOf<'observed'>, signal: AbortSignal): Promise<{ decisions: number; items: ObservedPolicy[] }>;
  close(): Promise<void>;
}

type JobOf<Kind> = Omit<Extract<ReplayJob, { kind: Kind }>, 'place' | 'trustDomain' | 'stop'>;

/** Runs replays, each in a thread of its own that ends with it. */
export function createReplayThreads(deps: { place: HistoryPlace; trustDomain: string; log: Log }): ReplayThreads {
  const running = new Set<{
    kind: ReplayJob['kind'];
    end: (reason: GatehouseError) => void;
    ended: Promise<unknown>;
  }>();

  async function run(
    job: JobOf<'replay'> | JobOf<'observed'>,
    onProgress: Progress,
    signal: AbortSignal,
  ): Promise<Exclude<ReplayMessage, { type: 'progress' | 'problem' }>> {
    signal.throwIfAborted();
    const atOnce = job.kind === 'replay' ? limits.replaysAtOnce : limits.observedAtOnce;
    if ([...running].filter(({ kind }) => kind === job.kind).length >= atOnce)
      throw new GatehouseError(
        'too-many',
        'replay.busy',
        'This server goes through the record for somebody else now. Wait for that to end, then ask again.',
      );
    const stop = new SharedArrayBuffer(4);
    const { place, trustDomain } = deps;
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
    const worker = new Worker(new URL(`./replay-worker.${extension}`, import.meta.url), {
      workerData: { ...job, place, trustDomain, stop } as ReplayJob,
      name: 'replay',
      resourceLimits: { maxOldGenerationSizeMb: 1_024 },
    });
    const { promise, resolve, reject } =
      Promise.withResolvers<Exclude<ReplayMessage, { type: 'progress' | 'problem' }>>();
    const end = (reason: unknown) => {
      Atomics.store(new Int32Array(stop), 0, 1);
      reject(reason);
    };
    const gone = () => end(new GatehouseError('gone', 'replay.cancelled', 'The replay was cancelled.'));
    signal.addEventListener('abort', gone, { once: true });
    const timer = setTimeout(
      () =>
        end(
          new GatehouseError(
            'too-large',
            'replay.too-long',
            `The replay took longer than ${limits.replayTimeoutMs / 60_000} minutes. Replay a shorter time.`,
          ),
        ),
      limits.replayTimeoutMs,
    );
    worker.on('message', (message: ReplayMessage) => {
      if (message.type === 'progress') return onProgress(message);
      if (message.type !== 'problem') return resolve(message);
      deps.log.error('a replay failed', { code: message.code, detail: message.detail });
      reject(
        new GatehouseError('internal', message.code === 'internal' ? 'replay.failed' : message.code, message.detail),
      );
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('the replay has ended without a result')));
    const held = { kind: job.kind, end, ended: promise.catch(() => undefined) };
    running.add(held);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', gone);
      await worker.terminate();
      running.delete(held);
    }
  }

  return {
    async run(job, onProgress, signal) {
      const done = await run(job, onProgress, signal);
      if (done.type !== 'result') throw new Error('a replay answers with its result');
      return done.result;
    },
    async observed(job, signal) {
      const done = await run(job, () => undefined, signal);
      if (done.type !== 'observed') throw new Error('it answers with what was observed');
      return done;
    },
    async close() {
      const closing = new GatehouseError('unavailable', 'server.closing', 'The server ends.');
      for (const { end } of running) end(closing);
      await Promise.all([...running].map(({ ended }) => ended));
    },
  };
}
