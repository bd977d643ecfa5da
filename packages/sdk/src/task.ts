import * as oauth from 'oauth4webapi';
import type { AgentKey } from './agent-key.ts';
import type { Prover } from './proofs.ts';

export interface TokenAnswer {
  token: string;
  tokenType: string;
  task: string;
  expiresInSeconds: number;
}

/** A running task: its token, kept fresh, and a fetch that carries it. */
export interface AgentTask {
  id: string;
  /** A token with at least a little life left. Refreshed once however many callers wait. */
  token(): Promise<string>;
  /** `fetch` with the token and, unless bearer-only, a fresh proof. Retries once when the server asks for a nonce or a new token. */
  fetch: typeof fetch;
  /** Address of the MCP door, of all servers or of one. */
  mcpUrl(server?: string): URL;
  /** Revokes the token (RFC 7009): nothing more can be done with it. */
  end(): Promise<void>;
}

/** Refreshed in the last third of its life, spread so that agents started together do not come back together. */
const REFRESH_AT = 2 / 3;
const REFRESH_SPREAD = 0.1;

export function createTask(options: {
  url: string;
  server: oauth.AuthorizationServer;
  client: oauth.Client;
  key: AgentKey;
  prover: Prover | null;
  request: { [oauth.allowInsecureRequests]: boolean };
  first: TokenAnswer;
  refresh(task: string): Promise<TokenAnswer>;
}): AgentTask {
  const { url, prover, first } = options;
  let current = hold(first);
  let refreshing: Promise<TokenAnswer> | undefined;

  function hold(answer: TokenAnswer) {
    const life = answer.expiresInSeconds * 1000;
    const now = Date.now();
    return { answer, refreshAt: now + life * (REFRESH_AT - Math.random() * REFRESH_SPREAD), deadAt: now + life };
  }

  async function renew(): Promise<TokenAnswer> {
    refreshing ??= options.refresh(first.task).finally(() => {
      refreshing = undefined;
    });
    const answer = await refreshing;
    if (current.answer !== answer) current = hold(answer);
    return answer;
  }

  async function valid(): Promise<TokenAnswer> {
    if (Date.now() < current.refreshAt) return current.answer;
    try {
      return await renew();
    } catch (error) {
      // The old token still works for a while: a server that is away for a moment stops nobody.
      if (Date.now() < current.deadAt) return current.answer;
      throw error;
    }
  }

  const authorizedFetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    const body = request.body === null ? undefined : await request.arrayBuffer();
    const send = async ({ token }: TokenAnswer) => {
      const headers = new Headers(request.headers);
      headers.set('authorization', `${prover ? 'DPoP' : 'Bearer'} ${token}`);
      if (prover) headers.set('dpop', await prover.proof(request.url, request.method, token));
      return fetch(request.url, {
        method: request.method,
        headers,
        signal: request.signal,
        redirect: 'error',
        ...(body && { body }),
      });
    };
    const used = await valid();
    const response = await send(used);
    const hasNewNonce = prover?.learn(request.url, response) ?? false;
    if (response.status !== 401) return response;
    const again = hasNewNonce ? used : await renew().catch(() => undefined);
    if (again === undefined || (again === used && !hasNewNonce)) return response;
    await response.body?.cancel();
    return send(again);
  };

  return {
    id: first.task,
    token: async () => (await valid()).token,
    fetch: authorizedFetch,
    mcpUrl: (server) => new URL(server === undefined ? `${url}/mcp` : `${url}/mcp/${server}`),
    async end() {
      const response = await oauth.revocationRequest(
        options.server,
        options.client,
        oauth.PrivateKeyJwt(options.key.privateKey),
        current.answer.token,
        options.request,
      );
      await oauth.processRevocationResponse(response);
    },
  };
}
