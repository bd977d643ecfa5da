import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { createLog, type JsonObject, systemClock } from '../../../platform/index.ts';
import type { ServerMessage, UpstreamAnswer, UpstreamConnection, UpstreamHooks, Upstreams } from '../types.ts';
import { createUpstreams, type UpstreamsOptions } from '../upstreams.ts';

/** What the tests of this folder share. Not imported by anything else. */
export type Context = { after(task: () => void | Promise<void>): void } | TestContext;

export function temporaryDirectory(context: Context): string {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-upstream-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface Kit {
  upstreams: Upstreams;
  dataDir: string;
  /** Log lines, parsed. */
  log: { level: string; message: string; [key: string]: unknown }[];
}

export function startUpstreams(context: Context, options: Partial<UpstreamsOptions> = {}): Kit {
  const dataDir = options.dataDir ?? temporaryDirectory(context);
  const log: Kit['log'] = [];
  const upstreams = createUpstreams({
    dataDir,
    log: createLog('debug', (line) => log.push(JSON.parse(line))),
    clock: systemClock,
    isProduction: () => false,
    ...options,
  });
  context.after(() => upstreams.close());
  return { upstreams, dataDir, log };
}

const base = {
  kind: 'ToolServer' as const,
  environments: ['dev'],
  stateless: false,
  tools: {},
  clientRequests: { sampling: false, elicitation: false, urlElicitation: false, roots: false },
};

export function httpServer(url: string, more: Partial<ToolServerManifest> = {}): ToolServerManifest {
  return { ...base, name: 'remote', transport: { type: 'http', url, allowPrivateAddress: true }, ...more };
}

type Stdio = Extract<ToolServerManifest['transport'], { type: 'stdio' }>;

export function stdioServer(
  args: string[],
  more: Partial<ToolServerManifest> & { transport?: undefined } = {},
  transport: Partial<Stdio> = {},
): ToolServerManifest {
  return {
    ...base,
    name: 'local',
    ...more,
    transport: { type: 'stdio', command: 'node', args, env: {}, directories: [], ...transport },
  };
}

export const scope = { environment: 'dev', task: 'tsk_1' };

export function call(
  connection: UpstreamConnection,
  name: string,
  args: JsonObject = {},
  hooks: Partial<UpstreamHooks> & { meta?: JsonObject } = {},
): Promise<UpstreamAnswer> {
  const { meta, ...rest } = hooks;
  const params: JsonObject = { name, arguments: args, ...(meta !== undefined && { _meta: meta }) };
  return connection.request({ method: 'tools/call', params }, { signal: new AbortController().signal, ...rest });
}

/** The first text of a tool's result. */
export function textOf(answer: UpstreamAnswer): string {
  if ('error' in answer) return `error ${answer.error.code}`;
  const [content] = answer.result.content as JsonObject[];
  return String(content?.text);
}

/** Waits for a message that satisfies the test; the runner's timeout is the only limit. */
export function nextUnsolicited(connection: UpstreamConnection, method: string): Promise<ServerMessage> {
  const { promise, resolve } = Promise.withResolvers<ServerMessage>();
  const stop = connection.onUnsolicited((message) => {
    if (message.method !== method) return;
    stop();
    resolve(message);
  });
  return promise;
}

export interface RawRequest {
  method: string;
  headers: IncomingMessage['headers'];
  /** Parsed body of a POST. */
  message: JsonObject;
}

/** An HTTP server that says whatever the test wants, and remembers what it was asked. */
export async function rawServer(
  context: Context,
  answer: (request: RawRequest, response: ServerResponse) => void | Promise<void>,
): Promise<{ url: string; requests: RawRequest[] }> {
  const requests: RawRequest[] = [];
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const request: RawRequest = {
      method: incoming.method ?? '',
      headers: incoming.headers,
      message: text === '' ? {} : (JSON.parse(text) as JsonObject),
    };
    requests.push(request);
    await answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, requests };
}

export function sendJson(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export const reply = (request: RawRequest, result: JsonObject): JsonObject => ({
  jsonrpc: '2.0',
  id: request.message.id ?? null,
  result,
});

/**
 * Shakes hands as a server of the earlier era and leaves the rest to the test.
 * @returns true when the request was answered here.
 */
export function shakeHands(
  request: RawRequest,
  response: ServerResponse,
  options: { session?: string; protocolVersion?: string } = {},
): boolean {
  const headers: Record<string, string> = options.session === undefined ? {} : { 'mcp-session-id': options.session };
  const { method } = request.message;
  if (request.method === 'GET') response.writeHead(405).end();
  else if (request.method === 'DELETE') response.writeHead(200).end();
  else if (method === 'server/discover') response.writeHead(400).end();
  else if (method === 'initialize') {
    const protocolVersion = options.protocolVersion ?? '2025-11-25';
    const result = { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } };
    sendJson(response, reply(request, result), 200, headers);
  } else if (request.message.id === undefined || method === undefined) response.writeHead(202).end();
  else return false;
  return true;
}

export function sendEvents(response: ServerResponse, ...events: (JsonObject | string)[]): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of events)
    response.write(typeof event === 'string' ? event : `event: message\ndata: ${JSON.stringify(event)}\n\n`);
}

/** A peer of test/peers as a tool server; its log's directory is granted to it. */
export function stdioPeer(
  peer: { args: string[] },
  more: Partial<ToolServerManifest> & { transport?: undefined } = {},
) {
  const log = peer.args[peer.args.indexOf('--log') + 1] as string;
  return stdioServer(peer.args, more, { directories: [{ path: dirname(log), access: 'rw' }] });
}

/** The highest that the memory outside of JavaScript's heap rose to while the task ran, in bytes. */
export async function peakBufferBytes(task: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage().arrayBuffers;
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }, 5);
  await task();
  clearInterval(timer);
  return peak - before;
}
