import type { ServerResponse } from 'node:http';
import type { LiveEvent } from '@gatehouse/protocol';
import type { Ledger } from '../ledger/index.ts';
import type { ApiDependencies } from './dependencies.ts';
import { securityHeaders } from './static.ts';

const HEARTBEAT_MS = 15_000;
/** A reader that does not keep up is cut off: its browser reconnects and asks for the latest page. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** The same holds where approvals are read more slowly than they change. */
const MAX_WAITING = 10_000;

/**
 * `GET /api/v1/events`: records as they become durable, and approvals as they change, as server-sent events. Ends with the session
 * that it was opened with.
 */
export function streamEvents(
  { ledger, approvals, log }: Pick<ApiDependencies, 'approvals' | 'log'> & { ledger: Pick<Ledger, 'follow'> },
  response: ServerResponse,
  stillSignedIn: () => Promise<boolean>,
  heartbeatMs = HEARTBEAT_MS,
): void {
  // Whoever has left before it could begin would be followed for ever: nothing says so a second time.
  if (response.destroyed) return;
  response.writeHead(200, {
    ...securityHeaders,
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const write = (text: string) => {
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
    // INVARIANT: nothing is written after the end, which would be an error that nobody handles.
    if (!response.destroyed) response.write(text);
  };
  const send = (event: LiveEvent) => write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  /** Approvals that have changed since they were last read. */
  const waiting = new Set<string>();
  let isReading = false;
  // One after the other: an earlier state of an approval that is read late must not be sent after a newer one.
  const readWaiting = async () => {
    if (isReading) return;
    isReading = true;
    for (const id of waiting) {
      waiting.delete(id);
      try {
        const approval = await approvals.get(id);
        if (approval) send({ type: 'approval', approval });
      } catch (error) {
        log.warn('an approval could not be read for a live stream', { error });
      }
    }
    isReading = false;
  };
  const stop = ledger.follow(
    (record) => {
      send({ type: 'record', record });
      const { approval } = record.record;
      if (!approval || response.destroyed) return;
      waiting.add(approval);
      if (waiting.size > MAX_WAITING) response.destroy();
      else void readWaiting();
    },
    // Who is told that it is connected misses nothing from then on.
    () => write(': connected\n\n'),
  );
  const heartbeat = setInterval(() => {
    stillSignedIn().then(
      (yes) => (yes ? write(': still here\n\n') : response.destroy()),
      () => response.destroy(),
    );
  }, heartbeatMs);
  response.on('close', () => {
    clearInterval(heartbeat);
    stop();
    waiting.clear();
  });
}
