import type { IncomingMessage, ServerResponse } from 'node:http';
import { toProblem } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Peers } from '../client-certificate/peers.ts';
import type { Tokens } from '../types.ts';

/**
 * `POST /task/end`: an agent ends the task that its token is for, and so whatever was handed on from it. The token is all that it needs, as
 * at the doors; there is no body. An agent can end no task but that one. Answers 200 and `{task}`, or RFC 9457 problem details.
 */
export const END_TASK_PATH = '/task/end';

interface Dependencies {
  tokens: Tokens;
  registry: Pick<Registry, 'endTask' | 'snapshot'>;
  peers: Peers;
  publicUrl: string;
  mutualTlsUrl: string | undefined;
}

export function createTaskEnd({ tokens, registry, peers, publicUrl, mutualTlsUrl }: Dependencies) {
  const isMutual = (host: string | undefined) =>
    mutualTlsUrl !== undefined && host?.toLowerCase() === new URL(mutualTlsUrl).host;

  async function end(request: IncomingMessage): Promise<{ task: string }> {
    const caller = await tokens.authenticate({
      authorization: request.headers.authorization,
      dpop: typeof request.headers.dpop === 'string' ? request.headers.dpop : undefined,
      method: 'POST',
      url: `${isMutual(request.headers.host) ? mutualTlsUrl : publicUrl}${END_TASK_PATH}`,
      peer: await peers.of(request),
    });
    const { spiffeId } = registry.snapshot().agents.get(caller.agent) as Agent;
    const { id } = await registry.endTask(caller.task.id, spiffeId);
    return { task: id };
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    if ((request.url ?? '').split('?', 1)[0] !== END_TASK_PATH) return false;
    request.resume();
    const send = (status: number, body: unknown, headers: Record<string, string>) => {
      const text = JSON.stringify(body);
      const always = { 'Content-Length': String(Buffer.byteLength(text)), 'Cache-Control': 'no-store' };
      response.writeHead(status, { ...always, 'X-Content-Type-Options': 'nosniff', ...headers }).end(text);
    };
    if (request.method !== 'POST') {
      const problem = {
        type: 'about:blank',
        title: 'route.method',
        status: 405,
        detail: 'This route answers POST only.',
      };
      send(405, problem, { 'Content-Type': 'application/problem+json', Allow: 'POST' });
      return true;
    }
    try {
      send(200, await end(request), { 'Content-Type': 'application/json' });
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
