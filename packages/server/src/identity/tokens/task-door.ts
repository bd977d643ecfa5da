import type { IncomingMessage, ServerResponse } from 'node:http';
import { toProblem } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Peers } from '../client-certificate/peers.ts';
import type { Tokens } from '../types.ts';

/**
 * What an agent can ask of the task that its token is for, and of no other: `GET /task` says whether the token would be let in now
 * (`{task, agent, expires_at}`, the time in seconds); `POST /task/end` ends the task, and so whatever was handed on from it (`{task}`). The token
 * with its proof is all that is needed, as at the doors; there is no body. Refusals are RFC 9457 problem details.
 */
const methods = { '/task': 'GET', '/task/end': 'POST' } as const;
type Path = keyof typeof methods;

export const isTaskPath = (path: string): path is Path => Object.hasOwn(methods, path);

interface Dependencies {
  tokens: Tokens;
  registry: Pick<Registry, 'endTask' | 'snapshot'>;
  peers: Peers;
  publicUrl: string;
  mutualTlsUrl: string | undefined;
}

export function createTaskDoor({ tokens, registry, peers, publicUrl, mutualTlsUrl }: Dependencies) {
  const isMutual = (host: string | undefined) =>
    mutualTlsUrl !== undefined && host?.toLowerCase() === new URL(mutualTlsUrl).host;

  async function answer(path: Path, request: IncomingMessage): Promise<object> {
    const caller = await tokens.authenticate({
      authorization: request.headers.authorization,
      dpop: typeof request.headers.dpop === 'string' ? request.headers.dpop : undefined,
      method: methods[path],
      url: `${isMutual(request.headers.host) ? mutualTlsUrl : publicUrl}${path}`,
      peer: await peers.of(request),
    });
    if (path === '/task')
      return { task: caller.task.id, agent: caller.agent, expires_at: Math.floor(caller.expiresAt / 1000) };
    const { spiffeId } = registry.snapshot().agents.get(caller.agent) as Agent;
    const { id } = await registry.endTask(caller.task.id, spiffeId);
    return { task: id };
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    const path = (request.url ?? '').split('?', 1)[0] as string;
    if (!isTaskPath(path)) return false;
    request.resume();
    const send = (status: number, body: unknown, headers: Record<string, string>) => {
      const text = JSON.stringify(body);
      const always = { 'Content-Length': String(Buffer.byteLength(text)), 'Cache-Control': 'no-store' };
      response.writeHead(status, { ...always, 'X-Content-Type-Options': 'nosniff', ...headers }).end(text);
    };
    if (request.method !== methods[path]) {
      const problem = {
        type: 'about:blank',
        title: 'route.method',
        status: 405,
        detail: `This route answers ${methods[path]} only.`,
      };
      send(405, problem, { 'Content-Type': 'application/problem+json', Allow: methods[path] });
      return true;
    }
    try {
      send(200, await answer(path, request), { 'Content-Type': 'application/json' });
    } catch (error) {
      const { status, body } = toProblem(error);
      const { challenge, dpopNonce, ...rest } = body as Record<string, unknown>;
      send(status, rest, {
        'Content-Type': 'application/problem+json',
        ...(typeof challenge === 'string' && { 'WWW-Authenticate': challenge }),
        ...(typeof dpopNonce === 'string' && { 'DPoP-Nonce': dpopNonce }),
      });
    }
    return true;
  };
}
