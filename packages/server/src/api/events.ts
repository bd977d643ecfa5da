import type { ServerResponse } from 'node:http';
import type { LiveEvent } from '@gatehouse/protocol';
import type { ApiDependencies } from './dependencies.ts';

const HEARTBEAT_MS = 15_000;
/** A reader that does not keep up is cut off: its browser reconnects and asks for the latest page. */
const MAX_BUFFERED_BYTES = 1024 * 1024;

/** `GET /api/v1/events`: records as they become durable, and approvals as they change, as server-sent events. */
export function streamEvents(
  { ledger, approvals, log }: ApiDependencies,
  response: ServerResponse,
  stillSignedIn: () => Promise<boolean>,
): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write(': connected\n\n');
  const send = (event: LiveEvent) => {
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
    else response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  };
  const stop = ledger.follow((record) => {
    send({ type: 'record', record });
    const { approval } = record.record;
    if (!approval) return;
    approvals.get(approval).then(
      (found) => found && send({ type: 'approval', approval: found }),
      (error) => log.warn('an approval could not be read for a live stream', { error }),
    );
  });
  const heartbeat = setInterval(() => {
    stillSignedIn().then(
      (yes) => (yes ? response.write(': still here\n\n') : response.end()),
      () => response.end(),
    );
  }, HEARTBEAT_MS);
  response.on('close', () => {
    clearInterval(heartbeat);
    stop();
  });
}
