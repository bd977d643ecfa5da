import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, type McpServer } from '@modelcontextprotocol/server';

export type HttpServer = { url: string; close(): Promise<void> };

/**
 * Serves both MCP eras, 2025-11-25 (without sessions) and 2026-07-28, at `/mcp` on 127.0.0.1. Port 0 takes a free one.
 * A foreign Host or Origin header is answered 403.
 */
export async function serveHttp(createMcpServer: () => McpServer, port: number): Promise<HttpServer> {
  const handler = createMcpHandler(createMcpServer);
  const handleMcp = toNodeHandler(handler);
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();

  const server = createServer((request, response) => {
    if (!hostIsLocal(request, response) || !originIsLocal(request, response)) return;
    if (request.url?.split('?')[0] !== '/mcp') {
      response.writeHead(404).end();
      return;
    }
    void handleMcp(request, response);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    async close() {
      await handler.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
