import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ProveGateway } from '../../identity/index.ts';
import { limits, readBody } from '../../platform/index.ts';
import { gatewayOf } from '../elsewhere/gateway.ts';
import { type CheckDependencies, type Checked, createCheck, problem } from './check.ts';
import { actionHeader } from './headers.ts';
import { extAuthzLimits } from './limits.ts';

/** Envoy puts it before the path of the request that it asks about (`path_prefix`). */
export const extAuthzPrefix = '/ext-authz';

/**
 * Envoy's external authorization over HTTP: the request that is asked about itself, below a prefix. 200 lets it through, everything else is the
 * agent's answer. Which gateway asks only its certificate says, because Authorization is the agent's.
 */
export function createExtAuthzDoor(deps: CheckDependencies & { proveGateway: ProveGateway }) {
  const check = createCheck(deps);

  async function answer(request: IncomingMessage, path: string): Promise<Checked> {
    try {
      const gateway = gatewayOf(await deps.proveGateway(request, { at: `${request.method} ${extAuthzPrefix}` }));
      const { requestBodyTimeoutMs } = limits;
      const body = await readBody(request, { requestBodyBytes: extAuthzLimits.bodyBytes, requestBodyTimeoutMs });
      const headers = Object.fromEntries(
        Object.entries(request.headersDistinct).map(([name, values]) => [name, values?.join(',')]),
      );
      return await check(gateway, {
        method: request.method ?? '',
        path,
        host: headers.host ?? '',
        headers,
        body,
        isLengthKnown: false,
      });
    } catch (error) {
      return problem(error);
    }
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const url = request.url ?? '';
    if (!url.startsWith(`${extAuthzPrefix}/`)) return false;
    const checked = await answer(request, url.slice(extAuthzPrefix.length));
    if (response.headersSent || response.destroyed) return true;
    if (checked.allowed)
      response
        .writeHead(200, {
          'content-length': 0,
          [actionHeader]: checked.actionId ?? '',
          'x-envoy-auth-headers-to-remove': checked.removed.join(','),
        })
        .end();
    else
      response
        .writeHead(checked.status, { ...checked.headers, 'content-length': Buffer.byteLength(checked.body) })
        .end(request.method === 'HEAD' ? undefined : checked.body);
    return true;
  };
}
