import { Client as ClientV2, LOG_LEVEL_META_KEY, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioTransportV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

/** Where the server is: an address, or a command that speaks stdio. */
export type Target =
  | { url: string; headers?: Record<string, string> }
  | { command: string; args: string[]; env?: Record<string, string>; cwd?: string };

export type Asked = { method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list'; params: unknown };

export type ToolResult = {
  content: { type: string; text?: string }[];
  structuredContent?: unknown;
  isError?: boolean;
};

/** One face for the clients of both SDKs, which answers whatever the server asks and remembers it. */
export type TestClient = {
  protocolVersion: string | undefined;
  listTools(): Promise<{ name: string; description?: string; inputSchema: unknown }[]>;
  call(
    name: string,
    args?: Record<string, unknown>,
    options?: { signal?: AbortSignal; onProgress?: (progress: number) => void; timeoutMs?: number },
  ): Promise<ToolResult>;
  listResources(): Promise<string[]>;
  readResource(uri: string): Promise<string | undefined>;
  getPrompt(name: string, args: Record<string, string>): Promise<unknown>;
  completePrompt(name: string, argument: string, value: string): Promise<string[]>;
  completeTemplate(uri: string, argument: string, value: string): Promise<string[]>;
  /** Asks to be told about `uri` and about changes of the list of tools. */
  subscribe(uri: string): Promise<void>;
  /** Everything the server asked of this client. */
  asked: Asked[];
  logged: unknown[];
  updated: string[];
  toolListChanges: number;
  close(): Promise<void>;
};

const clientInfo = { name: 'test-client', version: '1.0.0' };
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const defaultTimeoutMs = 20_000;

type Remembered = Pick<TestClient, 'asked' | 'logged' | 'updated' | 'toolListChanges'>;

/** A client on SDK v1: 2025-11-25. */
export async function connectV1(target: Target): Promise<TestClient> {
  const remembered: Remembered = { asked: [], logged: [], updated: [], toolListChanges: 0 };
  const client = new ClientV1(clientInfo, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => answerElicitation(remembered, params));
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => answerSampling(remembered, params));
  client.setRequestHandler(ListRootsRequestSchema, ({ params }) => answerRoots(remembered, params));
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    remembered.logged.push(params.data);
  });
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    remembered.updated.push(params.uri);
  });
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
    remembered.toolListChanges += 1;
  });
  await client.connect(
    'url' in target
      ? new HttpTransportV1(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
      : new StdioTransportV1({ ...target, stderr: 'ignore' }),
  );
  return Object.assign(remembered, {
    protocolVersion: '2025-11-25',
    async listTools() {
      return (await client.listTools()).tools;
    },
    async call(name: string, args: Record<string, unknown> = {}, options: Parameters<TestClient['call']>[2] = {}) {
      const result = await client.callTool({ name, arguments: args }, undefined, requestOptions(options));
      return result as ToolResult;
    },
    async listResources() {
      return (await client.listResources()).resources.map(({ uri }) => uri);
    },
    async readResource(uri: string) {
      const [content] = (await client.readResource({ uri })).contents;
      return content !== undefined && 'text' in content ? content.text : undefined;
    },
    async getPrompt(name: string, args: Record<string, string>) {
      return (await client.getPrompt({ name, arguments: args })).messages;
    },
    async completePrompt(name: string, argument: string, value: string) {
      const ref = { type: 'ref/prompt' as const, name };
      return (await client.complete({ ref, argument: { name: argument, value } })).completion.values;
    },
    async completeTemplate(uri: string, argument: string, value: string) {
      const ref = { type: 'ref/resource' as const, uri };
      return (await client.complete({ ref, argument: { name: argument, value } })).completion.values;
    },
    async subscribe(uri: string) {
      await client.subscribeResource({ uri });
    },
    close: () => client.close(),
  });
}

/** A client on SDK v2, in the era it is told to use. */
export async function connectV2(target: Target, era: '2025-11-25' | '2026-07-28' = '2026-07-28'): Promise<TestClient> {
  const remembered: Remembered = { asked: [], logged: [], updated: [], toolListChanges: 0 };
  const modern = era === '2026-07-28';
  const client = new ClientV2(clientInfo, {
    capabilities,
    versionNegotiation: { mode: modern ? { pin: era } : 'legacy' },
  });
  client.setRequestHandler('elicitation/create', ({ params }) => answerElicitation(remembered, params));
  client.setRequestHandler('sampling/createMessage', ({ params }) => answerSampling(remembered, params));
  client.setRequestHandler('roots/list', ({ params }) => answerRoots(remembered, params));
  client.setNotificationHandler('notifications/message', ({ params }) => {
    remembered.logged.push(params.data);
  });
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    remembered.updated.push(params.uri);
  });
  client.setNotificationHandler('notifications/tools/list_changed', () => {
    remembered.toolListChanges += 1;
  });
  await client.connect(
    'url' in target
      ? new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
      : new StdioClientTransport({ ...target, stderr: 'ignore' }),
  );
  const logLevel = modern ? { _meta: { [LOG_LEVEL_META_KEY]: 'debug' } } : {};
  return Object.assign(remembered, {
    protocolVersion: client.getNegotiatedProtocolVersion(),
    async listTools() {
      return (await client.listTools(undefined, { cacheMode: 'refresh' })).tools;
    },
    async call(name: string, args: Record<string, unknown> = {}, options: Parameters<TestClient['call']>[2] = {}) {
      const result = await client.callTool({ name, arguments: args, ...logLevel }, requestOptions(options));
      return result as ToolResult;
    },
    async listResources() {
      return (await client.listResources()).resources.map(({ uri }) => uri);
    },
    async readResource(uri: string) {
      const [content] = (await client.readResource({ uri }, { cacheMode: 'refresh' })).contents;
      return content !== undefined && 'text' in content ? content.text : undefined;
    },
    async getPrompt(name: string, args: Record<string, string>) {
      return (await client.getPrompt({ name, arguments: args })).messages;
    },
    async completePrompt(name: string, argument: string, value: string) {
      const ref = { type: 'ref/prompt' as const, name };
      return (await client.complete({ ref, argument: { name: argument, value } })).completion.values;
    },
    async completeTemplate(uri: string, argument: string, value: string) {
      const ref = { type: 'ref/resource' as const, uri };
      return (await client.complete({ ref, argument: { name: argument, value } })).completion.values;
    },
    async subscribe(uri: string) {
      if (modern) await client.listen({ resourceSubscriptions: [uri], toolsListChanged: true });
      else await client.subscribeResource({ uri });
    },
    close: () => client.close(),
  });
}

function requestOptions({ signal, onProgress, timeoutMs }: NonNullable<Parameters<TestClient['call']>[2]>) {
  return {
    timeout: timeoutMs ?? defaultTimeoutMs,
    ...(signal !== undefined && { signal }),
    ...(onProgress !== undefined && {
      onprogress: ({ progress }: { progress: number }) => onProgress(progress),
      resetTimeoutOnProgress: true,
    }),
  };
}

function answerElicitation(remembered: Remembered, params: { mode?: string }) {
  remembered.asked.push({ method: 'elicitation/create', params });
  return params.mode === 'url'
    ? { action: 'accept' as const }
    : { action: 'accept' as const, content: { answer: 'forty-two' } };
}

function answerSampling(remembered: Remembered, params: unknown) {
  remembered.asked.push({ method: 'sampling/createMessage', params });
  const content = { type: 'text' as const, text: 'sampled' };
  return { model: 'test-model', role: 'assistant' as const, content, stopReason: 'endTurn' };
}

function answerRoots(remembered: Remembered, params: unknown) {
  remembered.asked.push({ method: 'roots/list', params });
  return { roots: [{ uri: 'file:///test/root', name: 'root' }] };
}
