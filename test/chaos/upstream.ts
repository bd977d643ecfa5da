import { openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

/**
 * node test/chaos/upstream.ts LOG [http]
 *
 * A tool server that appends the id of each call to LOG (O_APPEND, one write) before it does anything else, so that a call which
 * is not in the file did not reach it. `note` {id} and `pay` {id}; an id that begins with `held-` gets no answer. Over stdio, or over
 * HTTP, when it prints its address first. A parent with a channel to it is told of each call.
 */
interface Request {
  id?: number | string;
  method: string;
  params?: { name?: string; arguments?: { id?: string }; _meta?: Record<string, unknown> };
}

const [, , file = '', kind] = process.argv;
const log = openSync(file, 'a');
const inputSchema = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] };
const tools = ['note', 'pay'].map((name) => ({ name, description: name, inputSchema }));
const serverInfo = { name: 'chaos', version: '1.0.0' };

function reply({ method, params }: Request): object {
  const modern = params?._meta?.['io.modelcontextprotocol/protocolVersion'] !== undefined;
  const complete = modern ? { resultType: 'complete' } : {};
  const listed = modern ? { ...complete, ttlMs: 0, cacheScope: 'private' } : {};
  switch (method) {
    case 'initialize':
      return { result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo } };
    case 'server/discover':
      return { result: { ...listed, supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, serverInfo } };
    case 'ping':
      return { result: {} };
    case 'tools/list':
      return { result: { ...listed, tools } };
    case 'tools/call':
      return { result: { ...complete, content: [{ type: 'text', text: String(params?.arguments?.id) }] } };
    default:
      return { error: { code: -32601, message: `unknown method ${method}` } };
  }
}

/** Answers a little later, by an amount that differs, so that at any moment some calls are in the middle. */
function receive(request: Request, answer: (message: object | undefined) => void): void {
  if (request.method === 'tools/call') {
    writeSync(log, `${JSON.stringify(request.params?.arguments?.id)}\n`);
    process.send?.('called');
  }
  const message = request.id === undefined ? undefined : { jsonrpc: '2.0', id: request.id, ...reply(request) };
  if (String(request.params?.arguments?.id).startsWith('held-')) return;
  if (request.method === 'tools/call') setTimeout(() => answer(message), Math.random() * 15);
  else answer(message);
}

if (kind === 'http') {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method !== 'POST') {
        response.writeHead(405).end();
        return;
      }
      receive(JSON.parse(Buffer.concat(chunks).toString()) as Request, (message) => {
        if (!message) response.writeHead(202).end();
        else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(message));
      });
    });
  });
  process.on('disconnect', () => process.exit(0));
  server.listen(0, '127.0.0.1', () =>
    console.log(`http://127.0.0.1:${(server.address() as { port: number }).port}/mcp`),
  );
} else {
  createInterface({ input: process.stdin }).on('line', (line) =>
    receive(JSON.parse(line) as Request, (message) => message && process.stdout.write(`${JSON.stringify(message)}\n`)),
  );
}
