/**
 * node test/peers/v1-server.ts [--log FILE] [--http PORT]
 *
 * A peer on SDK v1, which knows 2025-11-25 and earlier, over stdio or HTTP with sessions. See peer.ts for what it offers.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import {
  type CallToolResult,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import {
  beforeAnswerMs,
  createPeerState,
  type HttpPeerHandle,
  itemIds,
  names,
  noteUri,
  type PeerState,
  parsePeerArgs,
  prepareStdioPeer,
  type StdioPeerHandle,
  startingWith,
  waitForAbort,
} from './peer.ts';

/** Serves 2025-11-25 with sessions on 127.0.0.1. */
export async function startV1Http(state: PeerState = createPeerState(), port = 0): Promise<HttpPeerHandle> {
  const sessions = new Map<string, { server: McpServer; transport: StreamableHTTPServerTransport }>();

  const openSession = async () => {
    const server = createV1Peer(state);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized(id) {
        sessions.set(id, { server, transport });
      },
      onsessionclosed(id) {
        sessions.delete(id);
      },
    });
    await server.connect(transport);
    return transport;
  };

  const http = createServer(async (request, response) => {
    const id = request.headers['mcp-session-id'];
    if (request.url?.split('?')[0] !== '/mcp') response.writeHead(404).end();
    else if (id === undefined) await (await openSession()).handleRequest(request, response);
    else {
      const session = sessions.get(String(id));
      if (session === undefined) response.writeHead(404).end();
      else await session.transport.handleRequest(request, response);
    }
  });
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');

  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    state,
    sessionCount: () => sessions.size,
    async close() {
      await Promise.all([...sessions.values()].map(({ server }) => server.close()));
      http.close();
      http.closeAllConnections();
    },
  };
}

export function prepareV1Stdio(): StdioPeerHandle {
  return prepareStdioPeer(fileURLToPath(import.meta.url));
}

function createV1Peer(state: PeerState): McpServer {
  const taskStore = new InMemoryTaskStore();
  const server = new McpServer(
    { name: 'v1-peer', version: '1.0.0' },
    {
      instructions: 'A peer for tests.',
      capabilities: {
        logging: {},
        completions: {},
        resources: { subscribe: true, listChanged: true },
        tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
      },
      taskStore,
    },
  );
  registerTools(server, state);
  registerAskingTools(server, state);
  registerTaskTool(server, state);
  registerReading(server, state);

  const extra = server.registerTool('extra', { description: 'Here at the moment', inputSchema: {} }, () =>
    text('extra'),
  );
  const followTools = () => {
    if (extra.enabled !== state.extraTool) extra.update({ enabled: state.extraTool });
  };
  followTools();

  const subscribed = new Set<string>();
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
  const followNote = () => {
    if (subscribed.has(noteUri)) void server.server.sendResourceUpdated({ uri: noteUri });
  };
  state.changes.on('tools', followTools);
  state.changes.on('note', followNote);
  server.server.onclose = () => {
    state.changes.off('tools', followTools);
    state.changes.off('note', followNote);
    taskStore.cleanup();
  };
  return server;
}

function registerTools(server: McpServer, state: PeerState): void {
  const { log } = state;
  server.registerTool(
    'echo',
    {
      description: 'Gives the text back',
      inputSchema: z.strictObject({ text: z.string() }),
      annotations: { readOnlyHint: true },
    },
    (args) => {
      log.add({ event: 'called', tool: 'echo', arguments: args });
      return text(args.text);
    },
  );
  server.registerTool(
    'add',
    {
      description: 'Adds two numbers',
      inputSchema: z.strictObject({ a: z.number(), b: z.number() }),
      outputSchema: z.strictObject({ sum: z.number() }),
    },
    (args) => {
      log.add({ event: 'called', tool: 'add', arguments: args });
      const sum = args.a + args.b;
      return { ...text(String(sum)), structuredContent: { sum } };
    },
  );
  server.registerTool(
    'log',
    { description: 'Logs the message', inputSchema: z.strictObject({ message: z.string() }) },
    async (args, { sendNotification }) => {
      log.add({ event: 'called', tool: 'log', arguments: args });
      const params = { level: 'warning' as const, logger: 'peer', data: args.message };
      await sendNotification({ method: 'notifications/message', params });
      return text('logged');
    },
  );
  server.registerTool(
    'progress',
    { description: 'Reports progress', inputSchema: z.strictObject({ steps: z.int().min(0).max(100_000) }) },
    async (args, { _meta, sendNotification }) => {
      log.add({ event: 'called', tool: 'progress', arguments: args });
      const progressToken = _meta?.progressToken;
      for (let progress = 1; progress <= args.steps && progressToken !== undefined; progress++) {
        const params = { progressToken, progress, total: args.steps, message: `step ${progress}` };
        await sendNotification({ method: 'notifications/progress', params });
      }
      await sleep(beforeAnswerMs);
      return text('done');
    },
  );
  server.registerTool(
    'slow',
    { description: 'Answers late', inputSchema: z.strictObject({ ms: z.int().min(0).max(600_000) }) },
    async (args, { signal }) => {
      log.add({ event: 'called', tool: 'slow', arguments: args });
      await sleep(args.ms, undefined, { signal });
      return text(`slept ${args.ms} ms`);
    },
  );
  server.registerTool(
    'wait_until_cancelled',
    { description: 'Answers only when cancelled', inputSchema: z.strictObject({ label: z.string() }) },
    async (args, { signal }) => {
      await waitForAbort(log, 'wait_until_cancelled', args, signal);
      return text('cancelled');
    },
  );
  server.registerTool('toggle_tool', { description: 'Adds or removes the tool "extra"', inputSchema: {} }, () => {
    state.extraTool = !state.extraTool;
    state.changes.emit('tools');
    return text(state.extraTool ? 'added' : 'removed');
  });
  server.registerTool(
    'set_note',
    { description: 'Changes the note', inputSchema: z.strictObject({ text: z.string() }) },
    (args) => {
      log.add({ event: 'called', tool: 'set_note', arguments: args });
      state.note = args.text;
      state.changes.emit('note');
      return text('changed');
    },
  );
}

function registerAskingTools(server: McpServer, { log }: PeerState): void {
  server.registerTool(
    'ask_form',
    { description: 'Asks the user in a form', inputSchema: z.strictObject({ message: z.string() }) },
    async (args, { requestId }) => {
      log.add({ event: 'called', tool: 'ask_form', arguments: args });
      const requestedSchema = {
        type: 'object' as const,
        properties: { answer: { type: 'string' as const } },
        required: ['answer'],
      };
      const params = { message: args.message, requestedSchema };
      const { action, content } = await server.server.elicitInput(params, { relatedRequestId: requestId });
      return text(`${action} ${JSON.stringify(content ?? {})}`);
    },
  );
  server.registerTool(
    'ask_url',
    { description: 'Sends the user to a page', inputSchema: z.strictObject({ message: z.string(), url: z.url() }) },
    async (args, { requestId }) => {
      log.add({ event: 'called', tool: 'ask_url', arguments: args });
      const params = { ...args, mode: 'url' as const, elicitationId: randomUUID() };
      const { action } = await server.server.elicitInput(params, { relatedRequestId: requestId });
      return text(action);
    },
  );
  server.registerTool(
    'sample',
    { description: "Asks the client's model", inputSchema: z.strictObject({ prompt: z.string() }) },
    async (args, { requestId }) => {
      log.add({ event: 'called', tool: 'sample', arguments: args });
      const content = { type: 'text' as const, text: args.prompt };
      const params = { messages: [{ role: 'user' as const, content }], maxTokens: 100 };
      const result = await server.server.createMessage(params, { relatedRequestId: requestId });
      return text(JSON.stringify(result.content));
    },
  );
  server.registerTool(
    'list_roots',
    { description: "Lists the client's roots", inputSchema: {} },
    async (_, { requestId }) => {
      log.add({ event: 'called', tool: 'list_roots' });
      const { roots } = await server.server.listRoots({}, { relatedRequestId: requestId });
      return text(roots.map(({ uri }) => uri).join(' '));
    },
  );
}

/** Tasks as 2025-11-25 has them: the client asks for one, polls it and fetches its result. */
function registerTaskTool(server: McpServer, { log }: PeerState): void {
  server.experimental.tasks.registerToolTask(
    'long_job',
    {
      description: 'Works for a while, in a task if the client asks for one',
      inputSchema: { ms: z.int().min(0).max(600_000) },
      execution: { taskSupport: 'optional' },
    },
    {
      async createTask({ ms }, { taskStore, taskRequestedTtl }) {
        log.add({ event: 'called', tool: 'long_job', arguments: { ms } });
        const task = await taskStore.createTask({ ttl: taskRequestedTtl ?? 60_000, pollInterval: 20 });
        setTimeout(async () => {
          const { status } = await taskStore.getTask(task.taskId);
          if (status === 'cancelled') log.add({ event: 'cancelled', tool: 'long_job', arguments: { ms } });
          else await taskStore.storeTaskResult(task.taskId, 'completed', text('job done'));
        }, ms).unref();
        return { task };
      },
      getTask: (_, { taskStore, taskId }) => taskStore.getTask(taskId),
      getTaskResult: async (_, { taskStore, taskId }) => (await taskStore.getTaskResult(taskId)) as CallToolResult,
    },
  );
}

function registerReading(server: McpServer, state: PeerState): void {
  server.registerResource(
    'note',
    noteUri,
    { description: 'A note that changes', mimeType: 'text/plain' },
    ({ href }) => ({ contents: [{ uri: href, mimeType: 'text/plain', text: state.note }] }),
  );
  server.registerResource(
    'item',
    new ResourceTemplate('peer://item/{id}', {
      list: undefined,
      complete: { id: (typed) => startingWith(itemIds, typed) },
    }),
    { description: 'An item', mimeType: 'text/plain' },
    ({ href }, { id }) => ({ contents: [{ uri: href, mimeType: 'text/plain', text: `item ${id}` }] }),
  );
  server.registerPrompt(
    'greet',
    {
      description: 'Greets somebody',
      argsSchema: { name: completable(z.string(), (typed) => startingWith(names, typed)) },
    },
    ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.` } }] }),
  );
}

function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}

if (import.meta.main) {
  const { log, port } = parsePeerArgs();
  const state = createPeerState(log);
  if (port === undefined) await createV1Peer(state).connect(new StdioServerTransport());
  else console.log((await startV1Http(state, port)).url);
}
