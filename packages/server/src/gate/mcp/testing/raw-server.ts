import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isJsonObject, type JsonObject } from '../../../platform/index.ts';

/** A server that says whatever a test wants it to: what no SDK would say. */
export interface RawServer {
  url: string;
  /** Every request that it got, but for the handshake and lists. */
  requests: JsonObject[];
  /** Of each of these requests. */
  headers: IncomingHttpHeaders[];
  /** What the client of each of these requests had declared. */
  declared: JsonObject[];
  close(): Promise<void>;
}

export interface RawServerOptions {
  era: '2025-11-25' | '2026-07-28';
  tools?: JsonObject[];
  offered?: JsonObject;
  /** The whole answer but for `jsonrpc` and `id`: `{ result }` or `{ error }`. Null: the connection ends in the middle of it. */
  answer(request: JsonObject): JsonObject | null | Promise<JsonObject | null>;
}

const everything = { tools: {}, resources: {}, prompts: {} };
const tool = { name: 'tool', inputSchema: { type: 'object' } };

export async function startRawServer({
  era,
  tools = [tool],
  offered = everything,
  answer,
}: RawServerOptions): Promise<RawServer> {
  const requests: JsonObject[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const declared: JsonObject[] = [];
  const sessions: JsonObject[] = [];

  async function respond(message: JsonObject, session: JsonObject): Promise<JsonObject | null> {
    const params = isJsonObject(message.params) ? message.params : {};
    const meta = isJsonObject(params._meta) ? params._meta : {};
    const lists: Record<string, JsonObject> = {
      'tools/list': { tools },
      'resources/list': { resources: [] },
      'resources/templates/list': { resourceTemplates: [] },
      'prompts/list': { prompts: [] },
    };
    const list = lists[String(message.method)];
    if (list) return { result: { ...list, resultType: 'complete', ttlMs: 0, cacheScope: 'public' } };
    if (message.method === 'server/discover' && era === '2026-07-28')
      return {
        result: {
          resultType: 'complete',
          supportedVersions: [era],
          capabilities: offered,
          ttlMs: 0,
          cacheScope: 'public',
        },
      };
    if (message.method === 'initialize' && era === '2025-11-25')
      return { result: { protocolVersion: era, capabilities: offered, serverInfo: { name: 'raw', version: '1' } } };
    if (message.method === 'server/discover' || message.method === 'initialize')
      return { error: { code: -32601, message: 'no' } };
    requests.push(message);
    const capabilities = meta['io.modelcontextprotocol/clientCapabilities'] ?? session.capabilities;
    if (isJsonObject(capabilities)) declared.push(capabilities);
    return answer(message);
  }

  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method !== 'POST') return response.writeHead(405).end();
    const message: unknown = JSON.parse(Buffer.concat(chunks).toString());
    if (!isJsonObject(message) || message.id === undefined) return response.writeHead(202).end();
    if (message.method === 'initialize') sessions.push(isJsonObject(message.params) ? message.params : {});
    const session = Number(request.headers['mcp-session-id'] ?? sessions.length - 1);
    const before = requests.length;
    const answered = await respond(message, sessions[session] ?? {});
    if (requests.length > before) headers.push(request.headers);
    if (!answered) {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
      return setTimeout(() => response.destroy(), 20);
    }
    const text = JSON.stringify({ jsonrpc: '2.0', id: message.id, ...answered });
    const modern = request.headers['mcp-protocol-version'] === '2026-07-28';
    const unknown = modern && era === '2025-11-25';
    response
      .writeHead(unknown ? 400 : 200, { 'content-type': 'application/json', 'mcp-session-id': String(session) })
      .end(unknown ? '{}' : text);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    requests,
    headers,
    declared,
    async close() {
      http.close();
      http.closeAllConnections();
    },
  };
}
