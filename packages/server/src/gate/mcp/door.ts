import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Approvals } from '../../approvals/index.ts';
import type { Enforcement } from '../../enforcement/index.ts';
import { type Caller, nobody, type Peers, type Tokens, type TxnTokens } from '../../identity/index.ts';
import type { Ledger } from '../../ledger/index.ts';
import {
  type Clock,
  clientAddress,
  GatehouseError,
  type Json,
  type JsonObject,
  type Log,
  parseStrictJson,
  readBody,
  readTraceparent,
} from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Change } from '../../storage/index.ts';
import { JsonRpcFailure, type Upstreams } from '../upstream/types.ts';
import { createAct } from './act.ts';
import { createAsks } from './ask.ts';
import { createCatalogue } from './catalogue.ts';
import { classify } from './classify.ts';
import { type ChangedList, createConnections } from './connections.ts';
import { createDefinitions, type Definitions } from './definitions.ts';
import type { Door } from './door-parts.ts';
import { createEra2025, type Visit } from './era-2025-11-25/handler.ts';
import { createSessions } from './era-2025-11-25/sessions.ts';
import { createEra2026 } from './era-2026-07-28/handler.ts';
import { createListens } from './era-2026-07-28/listen.ts';
import { createParking } from './era-2026-07-28/parking.ts';
import { createAddressCheck, isJson, sendEmpty, sendError, sendJson, statusOf } from './http-edge.ts';
import { createOwnedTasks } from './owned-tasks.ts';
import { InvalidMessage } from './parse.ts';
import { createRequestStates } from './request-state.ts';
import { codes, type RequestId } from './rpc.ts';
import { aggregateView, plainView, serverName, type View } from './view.ts';
import type { WaitingRows } from './waiting/types.ts';
import { createWaitingCalls } from './waiting/waiting-calls.ts';

export interface McpDoorDependencies {
  tokens: Tokens;
  /** Who is at the other end of a connection. Without it: nobody that could be named. */
  peers?: Pick<Peers, 'of'>;
  registry: Registry;
  enforcement: Enforcement;
  txnTokens: TxnTokens;
  approvals: Approvals;
  upstreams: Upstreams;
  waitingRows: WaitingRows;
  ledger: Pick<Ledger, 'action'>;
  /** Compares what a server serves now with what is pinned: `Upstreams.describe`, then `Registry.observeDefinitions`. */
  onDefinitions(server: string): Promise<unknown>;
  /** RFC 9728 metadata of the resource at this path (`/mcp`, `/mcp/SERVER`). */
  resourceMetadata(path: string): Record<string, unknown> | undefined;
  clock: Clock;
  log: Log;
  publicUrl: string;
  /** Where the door answers over mutual TLS, if that is not the public URL. */
  mutualTlsUrl?: string | undefined;
  /**
   * Closes the connection of a 2025-11-25 request after so much quiet; the client comes back for the rest (SEP-1699). For places
   * where connections may not be held long. 0, the default, keeps them open with comments.
   */
  streamRestMs?: number;
  /** 32 bytes that seal `requestState`; the same on every replica, and after a restart. */
  stateKey: Uint8Array;
}

export interface McpDoor {
  /** True when the request was for this door; it is then answered. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** The feed's changes: clients hear of lists that now differ. */
  refresh(changes: Change[]): void;
  /** Forgets what was idle for too long; called by a timer of the door's own, too. */
  expire(): void;
  /** Ends every session, stream and parked call. */
  close(): Promise<void>;
  stats(): McpDoorStats;
}

export interface McpDoorStats {
  /** Open sessions (2025-11-25). */
  sessions: number;
  /** Open subscription streams (2026-07-28). */
  listens: number;
  /** Calls that wait for their client's answers. */
  parked: number;
}

const expireEveryMs = 30_000;
const mcpPath = /^\/mcp(?:\/([^/]{1,100}))?\/?$/;
const metadataPath = /^\/\.well-known\/oauth-protected-resource(\/mcp(?:\/([^/]{1,100}))?)?$/;

/** The door for agents that speak MCP: wire format in, actions out; outcomes in, wire format out. Nothing is decided here. */
export function createMcpDoor(deps: McpDoorDependencies): McpDoor {
  const { registry, enforcement, approvals, upstreams, clock, log, publicUrl } = deps;
  const address = createAddressCheck(publicUrl, deps.mutualTlsUrl);
  const catalogue = createCatalogue({ registry, enforcement });
  let definitions: Definitions | undefined;
  const connections = createConnections({
    upstreams,
    registry,
    log,
    onListChanged: (server, list) => definitions?.changed(server, list),
    onConnected: (server) => definitions?.connected(server),
  });
  definitions = createDefinitions({ registry, catalogue, onDefinitions: deps.onDefinitions, announce, clock, log });
  const asks = createAsks({ enforcement, approvals });
  const tasks = createOwnedTasks();
  const act = createAct({
    enforcement,
    txnTokens: deps.txnTokens,
    registry,
    connections,
    asks,
    tasks,
    log,
    publicUrl,
  });
  const waiting = createWaitingCalls({ ...deps, rows: deps.waitingRows, act });
  const door: Door = {
    registry,
    enforcement,
    approvals,
    upstreams,
    connections,
    catalogue,
    definitions,
    tasks,
    states: createRequestStates(deps.stateKey, clock),
    act,
    waiting,
    clock,
    log,
    publicUrl,
    async look(caller, view) {
      const servers = catalogue.servers(caller, view).map(({ name }) => name);
      await definitions?.firstLook(servers);
      for (const server of servers) definitions?.used(server);
    },
  };
  const sessions = createSessions({
    enforcement,
    upstreams,
    connections,
    tasks,
    clock,
    log,
    restAfterMs: deps.streamRestMs ?? 0,
  });
  const era2025 = createEra2025(door, sessions);
  const parking = createParking({ enforcement });
  const listens = createListens(door);
  const era2026 = createEra2026(door, parking, listens);
  const timer = setInterval(expire, expireEveryMs);
  timer.unref();

  function announce(server: string, list: ChangedList): void {
    const known = registry.snapshot().servers.get(server);
    const covers = (caller: Caller, view: View) =>
      (view.server === null || view.server === server) &&
      (known?.manifest.environments.includes(caller.task.environment) ?? false);
    for (const session of sessions.all()) if (covers(session.caller, session.view)) session.audience.listChanged(list);
    listens.announce(covers, list);
  }

  function expire(): void {
    sessions.expire();
    deps.waitingRows
      .sweep()
      .catch((error: unknown) => log.warn('MCP tasks that have run out are not forgotten yet', { error }));
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const metadata = metadataPath.exec(path);
    const ours = mcpPath.exec(path);
    if (!metadata && !ours) return false;
    const foreign = address.refusal(request);
    if (foreign !== undefined) sendError(response, 403, codes.invalidRequest, foreign);
    else if (metadata) answerMetadata(request, response, metadata[1] ?? '/mcp');
    else await visit(request, response, path, query, ours?.[1]);
    return true;
  }

  function answerMetadata(request: IncomingMessage, response: ServerResponse, path: string): void {
    const document = deps.resourceMetadata(path);
    if (request.method !== 'GET' && request.method !== 'HEAD') sendEmpty(response, 405, { Allow: 'GET, HEAD' });
    else if (!document) sendEmpty(response, 404);
    else sendJson(response, 200, JSON.stringify(document));
  }

  async function visit(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: string,
    server: string | undefined,
  ): Promise<void> {
    let id: RequestId | null = null;
    try {
      if (query !== '' && new URLSearchParams(query).has('access_token'))
        throw new GatehouseError('bad-request', 'token.in-query', 'A token belongs in the Authorization header.');
      const authenticated = await deps.tokens.authenticate({
        authorization: request.headers.authorization,
        dpop: single(request.headers.dpop),
        method: request.method ?? '',
        url: address.urlOf(request, path),
        peer: (await deps.peers?.of(request)) ?? nobody,
      });
      const trace = readTraceparent(request.headers.traceparent);
      const caller: Caller = { ...authenticated, address: clientAddress(request) ?? null, ...(trace && { trace }) };
      const view = viewOf(server);
      if (!view || (view.server !== null && !catalogue.server(caller, view.server)))
        return sendError(response, 404, codes.invalidRequest, 'There is no such tool server in this environment.');
      const visited = { request, response, caller, view };
      if (request.method === 'POST') return await post(visited, (known) => (id = known));
      if (request.method === 'GET') return await era2025.get(visited);
      if (request.method === 'DELETE') return await era2025.remove(visited);
      sendEmpty(response, 405, { Allow: 'GET, POST, DELETE' });
    } catch (error) {
      answerError(response, error, id);
    }
  }

  async function post(visited: Visit, know: (id: RequestId) => void): Promise<void> {
    const { request, response } = visited;
    if (!isJson(request.headers['content-type']))
      return sendError(response, 415, codes.invalidRequest, 'Content-Type must be application/json.');
    const body = parse(await readBody(request));
    const id = typeof body === 'object' && body !== null && !Array.isArray(body) ? body.id : undefined;
    if (typeof id === 'string' || typeof id === 'number') know(id);
    if (classify(request.headers, body) === '2026-07-28') return era2026.post(visited, body);
    return era2025.post(visited, body);
  }

  function parse(bytes: Buffer): Json {
    try {
      return parseStrictJson(bytes);
    } catch (error) {
      const detail = error instanceof Error ? error.message : 'The body is not valid JSON.';
      throw new InvalidMessage(detail, null, codes.parse);
    }
  }

  function answerError(response: ServerResponse, error: unknown, id: RequestId | null): void {
    if (error instanceof InvalidMessage) {
      sendError(response, 400, error.rpcCode, error.message, { id: error.id ?? id });
    } else if (error instanceof JsonRpcFailure) {
      const { code, message, data } = error.error;
      sendError(response, 400, code, message, { id, data });
    } else if (error instanceof GatehouseError) {
      const { challenge, dpopNonce, ...data } = error.extra;
      sendError(response, statusOf(error), rpcCodeOf(error), error.message, {
        id,
        data: { ...(data as JsonObject), code: error.code },
        headers: {
          ...(typeof challenge === 'string' && { 'WWW-Authenticate': challenge }),
          ...(typeof dpopNonce === 'string' && { 'DPoP-Nonce': dpopNonce }),
        },
      });
    } else {
      log.error('a request failed inside the MCP door', { error });
      const message = 'Something failed inside Gatehouse; the server log has the cause.';
      sendError(response, 500, codes.internal, message, { id });
    }
  }

  return {
    handle,
    refresh: (changes) => definitions?.refresh(changes),
    expire,
    async close() {
      clearInterval(timer);
      definitions?.close();
      waiting.close();
      parking.close();
      listens.close();
      sessions.close();
    },
    stats: () => ({ sessions: sessions.count(), listens: listens.count(), parked: parking.count() }),
  };
}

function viewOf(server: string | undefined): View | undefined {
  if (server === undefined) return aggregateView;
  return serverName.test(server) ? plainView(server) : undefined;
}

function single(header: string | string[] | undefined): string | undefined {
  // Two proofs are no proof: RFC 9449 allows one DPoP header, and joined ones do not verify.
  return Array.isArray(header) ? header.join(',') : header;
}

function rpcCodeOf(error: GatehouseError): number {
  switch (error.kind) {
    case 'unauthenticated':
    case 'forbidden':
      return codes.unauthenticated;
    case 'too-large':
    case 'too-many':
    case 'timeout':
      return codes.limit;
    case 'internal':
      return codes.internal;
    default:
      return codes.invalidRequest;
  }
}
