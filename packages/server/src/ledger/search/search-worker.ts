/** The thread in which records are made findable and found: neither takes the event loop of the gate, nor its connections. */
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { createIndexer } from './indexer.ts';
import { searchLimits } from './limits.ts';
import type { Answer, SearchJob, SearchReply, SearchRequest } from './types.ts';

/** A database that takes connections and then says nothing. */
const OPEN_TIMEOUT_MS = 15_000;

const { place, indexEveryMs } = workerData as SearchJob;

async function open() {
  if ('sqlite' in place) {
    const { openSqliteIndex, openSqliteSource } = await import('./sqlite-index.ts');
    return { index: openSqliteIndex(dirname(place.sqlite)), source: openSqliteSource(place.sqlite) };
  }
  const { openPostgresIndex, openPostgresSource } = await import('./postgres-index.ts');
  return { index: await openPostgresIndex(place.postgres), source: await openPostgresSource(place.postgres) };
}

const opened = open();
// Unheard in both cases: the thread ends with it, whoever waits is told, and another is started.
const late = setTimeout(() => {
  throw new Error('the database does not answer');
}, OPEN_TIMEOUT_MS);
opened.then(() => clearTimeout(late));
const port = parentPort;
if (!port) throw new Error('this is a thread');
let isClosing = false;
let waiting = 0;
let running: Promise<unknown> = Promise.resolve();

/** One at a time; a search goes before the next batch of what is indexed in the background. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const next = running.then(work);
  running = next.catch(() => undefined);
  return next;
}

async function answer(request: SearchRequest): Promise<unknown> {
  const { index, source } = await opened;
  switch (request.kind) {
    case 'find': {
      // What is recorded can be found at once, but for a great heap, and where the index can't be written (a full disk).
      const indexer = createIndexer(source, index);
      const isWhole = await indexer
        .catchUp(searchLimits.indexBeforeSearch)
        .then((isDone) => isDone || indexer.isDone())
        .catch(() => false);
      return { ...(await index.find(request.find)), isWhole } satisfies Answer;
    }
    case 'remove':
      // What another replica has read before it was gone must not be added behind this.
      if (await index.alone(() => index.remove(request.places))) return undefined;
      throw new Error('the index is being written elsewhere');
    case 'close':
      clearInterval(timer);
      await index.close();
      await source.close();
      return undefined;
  }
}

port.on('message', (request: SearchRequest) => {
  waiting++;
  isClosing ||= request.kind === 'close';
  inTurn(() => answer(request))
    .then(
      (value): SearchReply => ({ id: request.id, value }),
      (error: unknown): SearchReply => ({
        id: request.id,
        error: error instanceof Error ? error.message : String(error),
      }),
    )
    .then((reply) => {
      waiting--;
      port.postMessage(reply);
      if (request.kind === 'close') port.close();
    });
});

let isBehind = false;
const timer = setInterval(() => {
  if (isBehind || isClosing) return;
  isBehind = true;
  inTurn(async () => {
    const { index, source } = await opened;
    await createIndexer(source, index).catchUp(Number.POSITIVE_INFINITY, async () => {
      // Messages come in between two batches, and are answered before the next.
      await turn();
      return waiting === 0 && !isClosing;
    });
    while (waiting === 0 && !isClosing && (await index.purge())) await turn();
  }).then(
    () => {
      isBehind = false;
    },
    (error: unknown) => {
      isBehind = false;
      if (!isClosing) port.postMessage({ id: 0, error: error instanceof Error ? error.message : String(error) });
    },
  );
}, indexEveryMs);
