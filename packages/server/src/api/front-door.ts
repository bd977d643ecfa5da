import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Log, noteClientAddress, type TrustedProxies } from '../platform/index.ts';

/** Answers a request that is for it. False: it is for another. */
export type Door = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

/** What every listener serves: the first of the doors that a request is for, or the last, which answers whatever no other did. */
export function createFrontDoor(
  { proxies, log }: { proxies: TrustedProxies; log: Log },
  doors: readonly Door[],
  last: (request: IncomingMessage, response: ServerResponse) => Promise<unknown>,
): (request: IncomingMessage, response: ServerResponse) => void {
  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const door of doors) if (await door(request, response)) return;
    await last(request, response);
  }

  return (request, response) => {
    noteClientAddress(request, proxies);
    route(request, response).catch((error) => {
      log.error('a request failed', { method: request.method, path: request.url?.split('?')[0], error });
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({
          type: 'urn:gatehouse:error:internal',
          title: 'internal',
          status: 500,
          detail: 'Something failed inside Gatehouse; the server log has the cause.',
        }),
      );
    });
  };
}
