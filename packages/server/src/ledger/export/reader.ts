import { Worker } from 'node:worker_threads';
import type { SinkManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { HistoryPlace } from '../../storage/index.ts';
import { exportLimits } from './limits.ts';
import type { Position } from './positions.ts';
import type { Batch } from './read.ts';
import type { FormatSurroundings } from './types.ts';

export interface ReaderJob {
  place: HistoryPlace;
  surroundings: FormatSurroundings;
}

/** Names of the arguments that stand for credentials, by tool. */
export type Credentials = Readonly<Record<string, readonly string[]>>;

export interface ReadRequest {
  id: number;
  sink: SinkManifest;
  position: Position;
  /** Left out where they are as they were last told. */
  credentials?: Credentials;
}

export type ReadReply = { id: number; batch: Batch | undefined } | { id: number; error: string };

/** Reads and encodes for all sinks of this server. */
export interface Reader {
  read(sink: SinkManifest, position: Position): Promise<Batch | undefined>;
  close(): Promise<void>;
}

/**
 * The thread that reads what is to be delivered and turns it into the formats of the sinks, so that neither takes the event loop of the gate, nor
 * its connections. Begun with the first batch, given up when it does not answer in time, and begun anew with the next.
 */
export function createReader(job: ReaderJob, credentialsNow: () => Credentials): Reader {
  let running: ReturnType<typeof begin> | undefined;
  let isClosed = false;

  function begin() {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'mjs';
    const worker = new Worker(new URL(`./export-worker.${extension}`, import.meta.url), {
      workerData: job,
      name: 'export',
    });
    worker.unref();
    const waiting = new Map<number, { resolve(batch: Batch | undefined): void; reject(error: unknown): void }>();
    let last = 0;
    let told: Credentials | undefined;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const die = (cause: unknown) => {
      if (running?.worker === worker) running = undefined;
      for (const { reject } of waiting.values()) reject(unavailable(cause));
      waiting.clear();
    };
    worker.on('error', die);
    worker.on('exit', () => die(new Error('the thread that reads for sinks has ended')));
    worker.on('message', (reply: ReadReply) => {
      const caller = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ('error' in reply) caller?.reject(unavailable(new Error(reply.error)));
      else caller?.resolve(reply.batch);
    });

    function read(sink: SinkManifest, position: Position): Promise<Batch | undefined> {
      const id = ++last;
      const credentials = sink.bodies === 'arguments' ? credentialsNow() : told;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          die(new Error(`nothing was read within ${exportLimits.readTimeoutMs} ms`));
          // A statement that runs goes on until it ends; nobody waits for it.
          void worker.terminate();
        }, exportLimits.readTimeoutMs);
        const settled =
          <V>(done: (value: V) => void) =>
          (value: V) => {
            clearTimeout(timer);
            done(value);
          };
        waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
        worker.postMessage({ id, sink, position, ...(credentials !== told && { credentials }) } satisfies ReadRequest);
        told = credentials;
      });
    }
    return { worker, read, ended };
  }

  return {
    read(sink, position) {
      if (isClosed) return Promise.reject(unavailable(new Error('the export is closed')));
      running ??= begin();
      return running.read(sink, position);
    },
    async close() {
      isClosed = true;
      if (!running) return;
      const { worker } = running;
      running = undefined;
      await worker.terminate();
    },
  };
}

const unavailable = (cause: unknown) =>
  new GatehouseError(
    'unavailable',
    'export.unreadable',
    `The record can’t be read for sinks now: ${cause instanceof Error ? cause.message : String(cause)}.`,
    { cause },
  );
