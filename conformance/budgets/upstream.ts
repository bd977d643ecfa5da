import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tools } from './scenarios.ts';

/** What the tool server saw: every call, with when it began and ended. */
export interface Seen {
  tool: string;
  arguments: Record<string, unknown>;
  from: number;
  to: number;
}

interface Message {
  id?: number | string;
  method: string;
  params?: { name?: string; arguments?: Record<string, unknown>; _meta?: Record<string, unknown> };
}

/** An MCP server in this process, which outlives the gate's. */
export async function startUpstream() {
  const seen: Seen[] = [];
  let moment = 0;

  async function answer({ method, params }: Message): Promise<object> {
    const modern = params?._meta?.['io.modelcontextprotocol/protocolVersion'] !== undefined;
    const complete = modern ? { resultType: 'complete' } : {};
    const listed = modern ? { ...complete, ttlMs: 0, cacheScope: 'private' } : {};
    const about = { capabilities: { tools: {} }, serverInfo: { name: 'bank', version: '1.0.0' } };
    if (method === 'initialize') return { result: { protocolVersion: '2025-11-25', ...about } };
    if (method === 'server/discover') return { result: { ...listed, supportedVersions: ['2026-07-28'], ...about } };
    if (method === 'ping') return { result: {} };
    if (method === 'tools/list') return { result: { ...listed, tools } };
    if (method !== 'tools/call') return { error: { code: -32601, message: `unknown method ${method}` } };
    const call = {
      tool: params?.name ?? '',
      arguments: params?.arguments ?? {},
      from: ++moment,
      to: Number.POSITIVE_INFINITY,
    };
    seen.push(call);
    if (call.tool === 'open') await new Promise((resolve) => setTimeout(resolve, 30));
    call.to = ++moment;
    return { result: { ...complete, content: [{ type: 'text', text: 'done' }] } };
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      if (request.method !== 'POST') return response.writeHead(405).end();
      const message = JSON.parse(Buffer.concat(chunks).toString()) as Message;
      if (message.id === undefined) return response.writeHead(202).end();
      const body = { jsonrpc: '2.0', id: message.id, ...(await answer(message)) };
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    /** What was seen since the last time. */
    take: () => seen.splice(0),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
