import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { toolServerManifest } from '@gatehouse/protocol';
import type { z } from 'zod';
import type { Action } from '../../../enforcement/index.ts';
import { type Clock, createLog, type JsonObject, systemClock } from '../../../platform/index.ts';
import { createUpstreams, type Upstreams } from '../../upstream/index.ts';
import { createMcpDoor, type McpDoor } from '../index.ts';
import {
  createTestApprovals,
  createTestEnforcement,
  createTestRegistry,
  createTestTokens,
  createTestWaitingRows,
  type TestApprovals,
  type TestEnforcement,
  type TestRegistry,
  type Verdict,
} from './world.ts';

export interface TestGate {
  /** Without a trailing slash. */
  origin: string;
  /** The address of all servers, or of one. */
  url(server?: string): string;
  door: McpDoor;
  upstreams: Upstreams;
  registry: TestRegistry;
  enforcement: TestEnforcement;
  approvals: TestApprovals;
  /** Everything that was logged, for failures and for secrets that must not be in it. */
  logged: string[];
  close(): Promise<void>;
}

export type ServerInput = Partial<z.input<typeof toolServerManifest>> & { url?: string };

export const everything = { sampling: true, elicitation: true, urlElicitation: true, roots: true };

/** A gate with these servers behind it, all in environment `dev`, all of their definitions approved. */
export async function startGate(
  servers: Record<string, ServerInput>,
  options: {
    verdict?: (action: Action) => Verdict;
    clock?: Clock;
    onDefinitions?: (server: string) => void;
    streamRestMs?: number;
  } = {},
): Promise<TestGate> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gate-'));
  const logged: string[] = [];
  const log = createLog('debug', (line) => logged.push(line));
  const clock = options.clock ?? systemClock;
  const registry = createTestRegistry(
    Object.entries(servers).map(([name, { url, ...manifest }]) => ({
      kind: 'ToolServer',
      name,
      environments: ['dev'],
      transport: { type: 'http', url: url ?? '', allowPrivateAddress: true },
      resources: { tier: 1 },
      prompts: { tier: 1 },
      clientRequests: everything,
      ...manifest,
    })),
  );
  const upstreams = createUpstreams({ dataDir, log, clock, isProduction: () => false });
  const observe = async (name: string) => {
    const server = registry.snapshot().servers.get(name);
    if (server) registry.observe(name, await upstreams.describe(server.manifest));
    options.onDefinitions?.(name);
  };
  const approvals = createTestApprovals();
  const enforcement = createTestEnforcement(registry, approvals, options.verdict ?? (() => 'allow'));

  let door: McpDoor | undefined;
  const http = createServer(async (request, response) => {
    if (!(await door?.handle(request, response))) response.writeHead(404).end();
  });
  // As the listeners of a server set it: a pooled client must not meet a connection that is just being closed.
  http.keepAliveTimeout = 75_000;
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  await Promise.all(Object.keys(servers).map(observe));
  door = createMcpDoor({
    tokens: createTestTokens(clock),
    registry,
    enforcement,
    txnTokens: {
      sign() {
        throw new Error('No server here wants transaction tokens.');
      },
    },
    approvals,
    upstreams,
    waitingRows: createTestWaitingRows(clock),
    ledger: { action: async () => undefined },
    onDefinitions: observe,
    resourceMetadata: (path) => ({ resource: `${origin}${path}` }),
    clock,
    log,
    publicUrl: origin,
    streamRestMs: options.streamRestMs ?? 0,
    stateKey: randomBytes(32),
  });
  const created = door;
  return {
    origin,
    url: (server) => (server === undefined ? `${origin}/mcp` : `${origin}/mcp/${server}`),
    door: created,
    upstreams,
    registry,
    enforcement,
    approvals,
    logged,
    async close() {
      await created.close();
      await upstreams.close();
      http.close();
      http.closeAllConnections();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export const as = (agent = 'agent', task = 'tsk_1') => ({ authorization: `Bearer ${agent}.${task}` });

export interface RawAnswer {
  status: number;
  headers: Headers;
  body: JsonObject;
  text: string;
}

/** One POST, its answer read to the end; for a stream `body` is its last message. `onHead` hears that the answer has begun. */
export async function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
  onHead?: () => void,
): Promise<RawAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...as(),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
  onHead?.();
  const text = await response.text();
  const last = text.startsWith('{') || text.startsWith('[') ? text : lastEvent(text);
  return { status: response.status, headers: response.headers, body: last === '' ? {} : JSON.parse(last), text };
}

function lastEvent(text: string): string {
  const data = text.split('\n').filter((line) => line.startsWith('data: ') && line.length > 6);
  return data.at(-1)?.slice(6) ?? '';
}

/** Opens a 2025-11-25 session by hand and returns what its requests must carry. */
export async function openSession(
  url: string,
  options: { version?: string; capabilities?: JsonObject; agent?: string; task?: string } = {},
): Promise<Record<string, string>> {
  const { version = '2025-11-25', capabilities = {}, agent, task } = options;
  const identity = as(agent, task);
  const params = { protocolVersion: version, capabilities, clientInfo: { name: 'raw', version: '1' } };
  const { headers, text } = await post(url, { jsonrpc: '2.0', id: 0, method: 'initialize', params }, identity);
  const session = headers.get('mcp-session-id');
  if (session === null) throw new Error(`No session: ${text}`);
  return { ...identity, 'mcp-session-id': session, 'mcp-protocol-version': version };
}

/** A 2026-07-28 request with the headers that belong to it. */
export async function postModern(
  url: string,
  method: string,
  params: JsonObject = {},
  options: {
    capabilities?: JsonObject;
    headers?: Record<string, string>;
    meta?: JsonObject;
    id?: number;
    onHead?: () => void;
  } = {},
): Promise<RawAnswer> {
  const name = params.name ?? params.uri ?? params.taskId;
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': options.capabilities ?? {},
    ...options.meta,
  };
  return post(
    url,
    { jsonrpc: '2.0', id: options.id ?? 1, method, params: { ...params, _meta: meta } },
    {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof name === 'string' && { 'mcp-name': name }),
      ...options.headers,
    },
    undefined,
    options.onHead,
  );
}
