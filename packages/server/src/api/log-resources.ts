import type { Context } from 'hono';
import { GatehouseError } from '../platform/index.ts';
import type { ApiDependencies } from './dependencies.ts';
import { checkParam } from './read-request.ts';
import type { ApiCaller } from './route.ts';

/** Tiles, checkpoints and entries of a log, as whoever verifies it reads them. `reader`: whose look at entries is recorded, where the log is not public. */
export async function serveLog(
  deps: Pick<ApiDependencies, 'config' | 'ledger' | 'reads'>,
  http: Context,
  reader: () => Promise<ApiCaller>,
): Promise<Response> {
  const { publicLog = false, publicUrl } = deps.config;
  const caller = publicLog ? undefined : await reader();
  const log = checkParam(http.req.param('log') ?? '');
  // A log is named after where it is served: `HOST/log/REPLICA`.
  const id = log.includes('/') ? log : `${new URL(publicUrl).host}/log/${log}`;
  const path = checkParam(http.req.param('path') ?? '');
  const found = await deps.ledger.resource(id, path);
  if (!found) throw new GatehouseError('not-found', 'log.resource-unknown', 'There is no such tile or checkpoint.');
  // The records themselves are in these; hashes say nothing of anybody.
  const isRead = caller !== undefined && path.startsWith('tile/entries/');
  if (isRead)
    await deps.reads.took({ by: caller.by, what: `entries of ${id}: ${path}`, items: 1, subject: `entries ${id}` });
  // What needs a session stays out of caches that others share.
  const whose = publicLog ? 'public' : 'private';
  const lasting = found.immutable ? `${whose}, max-age=31536000, immutable` : 'no-cache';
  // Each look at records is recorded, so that none comes from a cache, or stays on a machine after its person has left.
  const cacheControl = isRead ? 'no-store' : lasting;
  return new Response(Buffer.from(found.body), {
    headers: {
      'content-type': found.contentType,
      'cache-control': cacheControl,
      ...(publicLog && { 'access-control-allow-origin': '*' }),
    },
  });
}
