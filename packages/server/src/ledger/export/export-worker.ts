/** The thread in which records are read for sinks and encoded. One batch at a time, in the order in which they were asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import { openReading } from '../../storage/index.ts';
import { createFilter } from './filter.ts';
import { readBatch } from './read.ts';
import type { Credentials, ReaderJob, ReadRequest } from './reader.ts';

const { place, surroundings } = workerData as ReaderJob;
const port = parentPort;
if (!port) throw new Error('this is a thread');
const opened = openReading(place);
let credentials: Credentials = {};
let running: Promise<unknown> = Promise.resolve();

async function answer({ sink, position }: ReadRequest, known: Credentials) {
  const credentialArguments = (tool: string) => (Object.hasOwn(known, tool) ? known[tool] : undefined);
  return readBatch(
    { sink, reading: await opened, fits: createFilter(sink), credentialArguments, surroundings },
    position,
  );
}

port.on('message', (request: ReadRequest) => {
  credentials = request.credentials ?? credentials;
  const known = credentials;
  running = running
    .then(() => answer(request, known))
    .then(
      (batch) => port.postMessage({ id: request.id, batch }),
      (error: unknown) =>
        port.postMessage({ id: request.id, error: error instanceof Error ? error.message : String(error) }),
    );
});
