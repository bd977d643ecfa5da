import * as oauth from 'oauth4webapi';
import { GatehouseRequestError } from './errors.ts';
import { askForCredential, type CredentialRequest, type HandedOutCredential } from './handed-out.ts';
import type { Prover } from './proofs.ts';
import type { ServerClock } from './server-clock.ts';

export interface TokenAnswer {
  token: string;
  tokenType: string;
  task: string;
  expiresInSeconds: number;
  /** When it is replaced, where that was decided before. */
  refreshAt?: number;
  /** Over the connections that the token was got over: it may be bound to their certificate. */
  fetch: typeof fetch;
}

export interface GrantedToken {
  token: string;
  /** What it is sent as. */
  tokenType: 'DPoP' | 'Bearer';
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** A running task: its token, kept fresh, and a fetch that carries it. */
export interface AgentTask {
  id: string;
  /** A token with at least a little life left. Refreshed once however many callers wait. */
  token(): Promise<string>;
  /** The same, with what has to be known to send it. */
  current(): Promise<GrantedToken>;
  /** Another token than the one it has: the server has refused that. */
  renew(): Promise<GrantedToken>;
  /** `fetch` with the token and whatever proves that it is ours: a fresh proof, the agent's certificate. Retries once when the server asks for a nonce or a new token. */
  fetch: typeof fetch;
  /**
   * Authorization and, if the token is bound to a key, DPoP header of one request, for HTTP clients that are not `fetch`. Single use.
   * A token that is bound to a certificate is good only over a connection that is made with it.
   */
  headersFor(target: string | URL, method: string): Promise<Record<string, string>>;
  /** Address of the MCP door, of all servers or of one. */
  mcpUrl(server?: string): URL;
  /**
   * A credential for a client that can't go through the gate, where provider, template and policies let the task have one. Throws ApprovalPending
   * where a person has to approve it (then ask the same again), and GatehouseRefusal where it is refused.
   */
  credential(request: CredentialRequest): Promise<HandedOutCredential>;
  /** Revokes the token (RFC 7009): nothing more can be done with it. The task goes on, under another. */
  revokeToken(): Promise<void>;
  /** Ends the task: nothing more happens in it, under any token. */
  end(): Promise<void>;
}

/** Refreshed in the last third of its life, spread so that agents started together do not come back together. */
const REFRESH_AT = 2 / 3;
const REFRESH_SPREAD = 0.1;

/** In milliseconds since the epoch, for a token that was given at `now`. */
export const refreshTime = (now: number, lifeSeconds: number): number =>
  now + lifeSeconds * 1000 * (REFRESH_AT - Math.random() * REFRESH_SPREAD);
/** A refresh that failed is not tried again before this while the old token still works. */
const REFRESH_PAUSE_MS = 5_000;

export function createTask(options: {
  url: string;
  server: oauth.AuthorizationServer;
  /** As it is now: it carries the difference to the server's clock. */
  client(): oauth.Client;
  authentication(): Promise<oauth.ClientAuth>;
  prover: Prover | null;
  clock: { now(): number };
  serverClock: ServerClock;
  request: { [oauth.allowInsecureRequests]: boolean; [oauth.customFetch]: typeof fetch };
  first: TokenAnswer;
  /** Another token than this one. */
  refresh(used: string): Promise<TokenAnswer>;
}): AgentTask {
  const { url, prover, first, clock } = options;
  const { origin } = new URL(url);
  let current = hold(first);
  let refreshing: Promise<TokenAnswer> | undefined;

  function hold(answer: TokenAnswer) {
    const { expiresInSeconds: life, refreshAt } = answer;
    const now = clock.now();
    return { answer, refreshAt: refreshAt ?? refreshTime(now, life), deadAt: now + life * 1000 };
  }

  async function renew(): Promise<TokenAnswer> {
    refreshing ??= options
      .refresh(current.answer.token)
      .then((answer) => {
        current = hold(answer);
        return answer;
      })
      .finally(() => {
        refreshing = undefined;
      });
    return refreshing;
  }

  async function valid(): Promise<TokenAnswer> {
    if (clock.now() < current.refreshAt) return current.answer;
    try {
      return await renew();
    } catch (error) {
      // The old token still works for a while: a server that is away for a moment stops nobody.
      if (clock.now() >= current.deadAt) throw error;
      current.refreshAt = clock.now() + REFRESH_PAUSE_MS;
      return current.answer;
    }
  }

  /** A newer token than `used`, which was refused. Whoever comes later than the first gets what that one got. */
  async function newerThan(used: TokenAnswer): Promise<TokenAnswer | undefined> {
    if (current.answer !== used) return current.answer;
    // A refused refresh leaves the 401 as the answer: it says what is wrong.
    return renew().catch(() => undefined);
  }

  /** A proof is for one request: its method, its address, this token (RFC 9449 §4.2). */
  async function credentialsFor(
    { token }: TokenAnswer,
    target: string,
    method: string,
  ): Promise<Record<string, string>> {
    if (!prover) return { authorization: `Bearer ${token}` };
    return { authorization: `DPoP ${token}`, dpop: await prover.proof(target, method, token) };
  }

  const authorizedFetch: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    if (new URL(request.url).origin !== origin)
      throw new TypeError(`A task's token is for ${origin} only, and is not sent to ${request.url}`);
    const body = request.body === null ? undefined : await request.arrayBuffer();
    const send = async (answer: TokenAnswer) => {
      const headers = new Headers(request.headers);
      for (const [name, value] of Object.entries(await credentialsFor(answer, request.url, request.method)))
        headers.set(name, value);
      const response = await answer.fetch(request.url, {
        method: request.method,
        headers,
        signal: request.signal,
        redirect: 'error',
        ...(body && { body }),
      });
      const knowsMore = options.serverClock.learn(response);
      return { response, hasNewNonce: prover?.learn(request.url, response) || (knowsMore && prover !== null) };
    };
    // At most one more try for a nonce and one for a token: what is refused then is the answer.
    let token = await valid();
    let { response, hasNewNonce } = await send(token);
    if (response.status === 401 && hasNewNonce) {
      await response.body?.cancel();
      ({ response } = await send(token));
    }
    if (response.status !== 401) return response;
    const newer = await newerThan(token);
    if (!newer) return response;
    token = newer;
    await response.body?.cancel();
    ({ response, hasNewNonce } = await send(token));
    if (response.status !== 401 || !hasNewNonce) return response;
    await response.body?.cancel();
    return (await send(token)).response;
  };

  const granted = (): GrantedToken => ({
    token: current.answer.token,
    tokenType: prover ? 'DPoP' : 'Bearer',
    expiresAt: current.deadAt,
  });

  return {
    id: first.task,
    current: () => valid().then(granted),
    renew: () => renew().then(granted),
    token: async () => (await valid()).token,
    fetch: authorizedFetch,
    headersFor: async (target, method) => credentialsFor(await valid(), String(target), method),
    mcpUrl: (server) => new URL(server === undefined ? `${url}/mcp` : `${url}/mcp/${server}`),
    credential: (request) => askForCredential({ url, fetch: authorizedFetch }, request),
    async revokeToken() {
      const response = await oauth.revocationRequest(
        options.server,
        options.client(),
        await options.authentication(),
        current.answer.token,
        { ...options.request, [oauth.customFetch]: current.answer.fetch },
      );
      await oauth.processRevocationResponse(response);
    },
    async end() {
      // With the token it has: whoever is refused a new one can do nothing in the task anyway.
      const response = await authorizedFetch(`${url}/task/end`, { method: 'POST' });
      const { ok, status } = response;
      await response.body?.cancel();
      if (!ok && status !== 401)
        throw new GatehouseRequestError(status, 'task.not-ended', `The server did not end the task (HTTP ${status}).`);
    },
  };
}
