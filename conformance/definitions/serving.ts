import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';

export type Json = Record<string, unknown>;
export type Named = Json & { name: string };

/** All that a server says of itself. */
export interface Served {
  instructions?: string;
  tools: Named[];
  prompts: Named[];
  resources: (Json & { uri: string })[];
  resourceTemplates: (Json & { uriTemplate: string })[];
}

/** A server of both eras whose definitions are whatever it is given, and that does nothing but note what reaches it. */
export interface Serving {
  url: string;
  /** From now on; `indented`: the same JSON with white space between its parts. */
  serve(served: Served, options?: { indented?: boolean }): void;
  /** Names of the tools (and prompts and resources) that calls asked for. */
  reached: string[];
  /** Headers of every request. */
  headers: IncomingHttpHeaders[];
  close(): Promise<void>;
}

interface Message {
  id?: unknown;
  method?: string;
  params?: { name?: string; uri?: string; _meta?: Json };
}

export async function startServing(first: Served): Promise<Serving> {
  let served = first;
  let indent = 0;
  const reached: string[] = [];
  const headers: IncomingHttpHeaders[] = [];

  function answer({ method = '', params = {} }: Message, modern: boolean): Json | undefined {
    const { instructions, tools, prompts, resources, resourceTemplates } = served;
    const capabilities = { tools: {}, prompts: {}, resources: {} };
    const lists: Record<string, Json> = {
      'tools/list': { tools },
      'prompts/list': { prompts },
      'resources/list': { resources },
      'resources/templates/list': { resourceTemplates },
    };
    const whole = modern ? { resultType: 'complete' } : {};
    const listed = modern ? { ...whole, ttlMs: 0, cacheScope: 'private' } : {};
    const list = lists[method];
    if (list) return { ...list, ...listed };
    if (method === 'server/discover')
      return { supportedVersions: ['2026-07-28'], capabilities, instructions, ...listed };
    if (method === 'initialize')
      return {
        protocolVersion: '2025-11-25',
        capabilities,
        serverInfo: { name: 'serving', version: '1' },
        instructions,
      };
    if (method === 'ping') return whole;
    if (!['tools/call', 'prompts/get', 'resources/read'].includes(method)) return undefined;
    reached.push(String(params.name ?? params.uri));
    if (method === 'prompts/get') return { messages: [], ...whole };
    if (method === 'resources/read') return { contents: [], ...whole };
    return { content: [{ type: 'text', text: `did ${params.name}` }], ...whole };
  }

  const http = createServer(async (request, response) => {
    headers.push(request.headers);
    if (request.method !== 'POST') return response.writeHead(405).end();
    const message = JSON.parse(await readText(request)) as Message;
    if (message.id === undefined) return response.writeHead(202).end();
    const modern = message.params?._meta?.['io.modelcontextprotocol/protocolVersion'] !== undefined;
    const result = answer(message, modern);
    const said = result ? { result } : { error: { code: -32601, message: 'Method not found' } };
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...said }, null, indent));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    serve(next, { indented = false } = {}) {
      served = next;
      indent = indented ? 3 : 0;
    },
    reached,
    headers,
    async close() {
      http.close();
      http.closeAllConnections();
    },
  };
}
