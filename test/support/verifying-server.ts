import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { McpServer as ServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/server';
import type { JWTPayload } from 'jose';
import { z } from 'zod';
import { serveBothEras } from '../peers/both-eras.ts';

/** MCP servers on the official SDKs that verify transaction tokens, with the very code of the how-to. */
type TransactionOf = (headers: Headers, tool: string) => Promise<JWTPayload>;
type Transactions = (options: { gatehouse: string; origin: string; server: string }) => TransactionOf;

const root = join(import.meta.dirname, '..', '..');

/** The first block of the how-to that is a module, as it stands there. */
export async function transactionsOfHowTo(): Promise<Transactions> {
  const page = readFileSync(join(root, 'docs', 'how-to', 'verify-calls-in-a-tool-server.md'), 'utf8');
  const [, block = ''] = /```js\n(import [\s\S]*?)```/.exec(page) ?? [];
  // Where the module finds jose.
  const directory = mkdtempSync(join(root, 'node_modules', '.how-to-'));
  try {
    const file = join(directory, 'transactions.mjs');
    writeFileSync(file, block);
    return ((await import(pathToFileURL(file).href)) as { transactions: Transactions }).transactions;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export interface VerifyingServer {
  url: string;
  /** Every request, in order. */
  requests: { method: string; token: string | null }[];
  /** Claims of what was verified. */
  verified: JWTPayload[];
  close(): Promise<void>;
}

const tools = ['close', 'approve_me', 'leak'];
const inputSchema = { ticket: z.number().optional(), note: z.string().optional() };
const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

/** In front of the server: what comes in, before anything looks at it. */
async function inFront(
  verifier: (origin: string) => TransactionOf,
  start: (verify: TransactionOf) => Promise<VerifyingServer['close']>,
  innerUrl: () => string,
): Promise<VerifyingServer> {
  const peer: VerifyingServer = { url: '', requests: [], verified: [], close: async () => undefined };
  const http = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const message = body.length > 0 ? (JSON.parse(body.toString()) as { method?: string }) : {};
    const token = incoming.headers['txn-token'];
    peer.requests.push({
      method: message.method ?? incoming.method ?? '',
      token: typeof token === 'string' ? token : null,
    });
    const { host: _, connection: __, 'content-length': ___, ...headers } = incoming.headers;
    const answer = await fetch(innerUrl(), {
      method: incoming.method ?? 'POST',
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
      ...(body.length > 0 && { body }),
    });
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
    // The stream ends with whichever side goes first.
    await pipeline(answer.body ?? [], outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  peer.url = `${origin}/mcp`;
  const verify = verifier(origin);
  const closeInner = await start(async (headers, tool) => {
    const claims = await verify(headers, tool);
    peer.verified.push(claims);
    return claims;
  });
  peer.close = async () => {
    http.close();
    http.closeAllConnections();
    await closeInner();
  };
  return peer;
}

/** SDK v2, both eras. */
export async function startVerifyingV2(
  name: string,
  gatehouse: string,
  transactions: Transactions,
): Promise<VerifyingServer> {
  let inner = '';
  return inFront(
    (origin) => transactions({ gatehouse, origin, server: name }),
    async (verify) => {
      const { url, close } = await serveBothEras(() => {
        const mcp = new McpServer({ name, version: '1.0.0' });
        for (const tool of tools)
          mcp.registerTool(tool, { description: tool, inputSchema: z.object(inputSchema) }, async (_args, { http }) => {
            const headers = http?.req?.headers ?? new Headers();
            const { sub } = await verify(headers, tool);
            return text(tool === 'leak' ? `Txn-Token: ${headers.get('txn-token')}` : `done for ${sub}`);
          });
        mcp.registerResource('note', 'note://one', { description: 'A note' }, async ({ href }) => ({
          contents: [{ uri: href, text: 'a note' }],
        }));
        return mcp;
      });
      inner = url;
      return close;
    },
    () => inner,
  );
}

/** SDK v1, 2025-11-25 only. */
export async function startVerifyingV1(
  name: string,
  gatehouse: string,
  transactions: Transactions,
): Promise<VerifyingServer> {
  let inner = '';
  return inFront(
    (origin) => transactions({ gatehouse, origin, server: name }),
    async (verify) => {
      const http = createServer(async (request, response) => {
        const mcp = new ServerV1({ name, version: '1.0.0' });
        for (const tool of tools)
          mcp.registerTool(tool, { description: tool, inputSchema }, async (_args, { requestInfo }) => {
            const headers = new Headers(requestInfo?.headers as Record<string, string>);
            const { sub } = await verify(headers, tool);
            return text(`done for ${sub}`);
          });
        const transport = new StreamableHTTPServerTransport({
          sessionIdGenerator: undefined,
          enableJsonResponse: true,
        });
        await mcp.connect(transport as never);
        await transport.handleRequest(request, response);
      });
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
      inner = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
      return async () => {
        http.close();
        http.closeAllConnections();
      };
    },
    () => inner,
  );
}
