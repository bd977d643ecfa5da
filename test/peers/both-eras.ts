/**
 * One address that serves both MCP eras with SDK v2: 2025-11-25 with sessions, streams and resumption, 2026-07-28 without.
 * It checks Host and Origin, and does no authentication: a peer to test against, not a server to deploy.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  type EventStore,
  InMemoryServerEventBus,
  isInitializeRequest,
  isLegacyRequest,
  type JSONRPCMessage,
  type McpRequestContext,
  type McpServer,
  type ServerEventBus,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';

export type HttpPeer = {
  /** Ends in `/mcp`. */
  url: string;
  /** Changes published here reach the subscription streams of 2026-07-28 clients. */
  events: ServerEventBus;
  /** How many 2025-11-25 sessions are open. */
  sessionCount(): number;
  close(): Promise<void>;
};

export type BothErasOptions = {
  /** 0, the default, takes a free port. */
  port?: number;
  events?: ServerEventBus;
  /** Makes 2025-11-25 streams resumable, and tells clients to reconnect after this time. */
  retryIntervalMs?: number;
  /** Stands in front of the SDK for 2026-07-28 requests. */
  aroundModern?: (request: Request, forward: (request: Request) => Promise<Response>) => Promise<Response>;
};

/** `createMcpServer` is called once per 2026-07-28 request and once per 2025-11-25 session. */
export async function serveBothEras(
  createMcpServer: (context: McpRequestContext) => McpServer,
  options: BothErasOptions = {},
): Promise<HttpPeer> {
  const events = options.events ?? new InMemoryServerEventBus();
  const modern = createMcpHandler(createMcpServer, { legacy: 'reject', bus: events });
  const sessions = new Map<string, { server: McpServer; transport: WebStandardStreamableHTTPServerTransport }>();

  const openSession = async () => {
    const server = createMcpServer({ era: 'legacy' });
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized(id) {
        sessions.set(id, { server, transport });
      },
      onsessionclosed(id) {
        sessions.delete(id);
      },
      ...(options.retryIntervalMs !== undefined && {
        eventStore: createEventStore(),
        retryInterval: options.retryIntervalMs,
      }),
    });
    await server.connect(transport);
    return transport;
  };

  const legacy = async (request: Request) => {
    const id = request.headers.get('mcp-session-id');
    if (id !== null) return sessions.get(id)?.transport.handleRequest(request) ?? refusal(404, 'Session not found');
    if (request.method !== 'POST') return refusal(400, 'Mcp-Session-Id header is missing');
    const parsedBody = await request.json().catch(() => undefined);
    if (!isInitializeRequest(parsedBody)) return refusal(400, 'The first request of a session is initialize');
    const transport = await openSession();
    return transport.handleRequest(request, { parsedBody });
  };

  const { aroundModern = (request, forward) => forward(request) } = options;
  const handleMcp = toNodeHandler({
    fetch: async (request) =>
      (await isLegacyRequest(request)) ? legacy(request) : aroundModern(request, (passed) => modern.fetch(passed)),
  });
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();
  const http = createServer((request, response) => {
    if (!hostIsLocal(request, response) || !originIsLocal(request, response)) return;
    if (request.url?.split('?')[0] !== '/mcp') response.writeHead(404).end();
    else void handleMcp(request, response);
  });
  http.listen(options.port ?? 0, '127.0.0.1');
  await once(http, 'listening');

  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    events,
    sessionCount: () => sessions.size,
    async close() {
      await modern.close();
      await Promise.all([...sessions.values()].map(({ server }) => server.close()));
      http.close();
      http.closeAllConnections();
    },
  };
}

function refusal(status: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }, { status });
}

/** Keeps every event of one session for as long as the session lives. */
function createEventStore(): EventStore {
  const stored: { streamId: string; message: JSONRPCMessage }[] = [];
  const streamOf = (eventId: string) => stored[Number(eventId)]?.streamId;
  return {
    storeEvent: async (streamId, message) => String(stored.push({ streamId, message }) - 1),
    getStreamIdForEventId: async (eventId) => streamOf(eventId),
    async replayEventsAfter(lastEventId, { send }) {
      const streamId = streamOf(lastEventId);
      if (streamId === undefined) throw new RangeError(`unknown event ${lastEventId}`);
      for (const [index, event] of stored.entries()) {
        // Priming events are stored without a message and exist only for their id.
        if (index <= Number(lastEventId) || event.streamId !== streamId || !('jsonrpc' in event.message)) continue;
        await send(String(index), event.message);
      }
      return streamId;
    },
  };
}
