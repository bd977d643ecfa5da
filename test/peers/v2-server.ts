/**
 * node test/peers/v2-server.ts [--log FILE] [--http PORT]
 *
 * A peer on SDK v2, in both eras, over stdio or HTTP. See peer.ts for what it offers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  completable,
  InMemoryServerEventBus,
  inputRequired,
  inputResponse,
  type McpRequestContext,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';
import { serveBothEras } from './both-eras.ts';
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
import { createTaskStore, type TaskStore } from './task-store.ts';
import { created, offersTasks, registerTaskMethods, tasksExtension, withTaskResults } from './tasks-extension.ts';

/** Serves both eras at one address on 127.0.0.1. */
export async function startV2Http(state: PeerState = createPeerState(), port = 0): Promise<HttpPeerHandle> {
  const events = new InMemoryServerEventBus();
  state.changes.on('tools', () => events.publish({ kind: 'tools_list_changed' }));
  state.changes.on('note', () => events.publish({ kind: 'resource_updated', uri: noteUri }));
  const tasks = createTaskStore();
  const { url, sessionCount, close } = await serveBothEras(
    ({ era }) => createV2Peer(state, tasks, era, era === 'legacy'),
    { port, events, retryIntervalMs: 50, aroundModern: withTaskResults.bind(undefined, []) },
  );
  return { url, state, sessionCount, close };
}

export function prepareV2Stdio(): StdioPeerHandle {
  return prepareStdioPeer(fileURLToPath(import.meta.url));
}

/** `longLived`: this instance serves a whole connection, so it must follow changes; otherwise it serves one request. */
function createV2Peer(
  state: PeerState,
  tasks: TaskStore,
  era: McpRequestContext['era'],
  longLived: boolean,
): McpServer {
  const server = new McpServer(
    { name: 'v2-peer', version: '1.0.0' },
    {
      instructions: 'A peer for tests.',
      capabilities: {
        logging: {},
        completions: {},
        resources: { subscribe: true, listChanged: true },
        ...(era === 'modern' && { extensions: { [tasksExtension]: {} } }),
      },
    },
  );
  registerTools(server, state);
  registerAskingTools(server, state);
  registerTaskTool(server, state, tasks);
  if (era === 'modern') registerTaskMethods(server, tasks);
  registerReading(server, state);

  const extra = server.registerTool(
    'extra',
    { description: 'Here at the moment', inputSchema: z.strictObject({}) },
    () => text('extra'),
  );
  const followTools = () => {
    if (extra.enabled !== state.extraTool) extra.update({ enabled: state.extraTool });
  };
  followTools();
  if (longLived) {
    const subscribed = followSubscriptions(server);
    const followNote = () => {
      // What a 2026-07-28 client listens to is filtered in its subscription stream.
      if (era === 'modern' || subscribed.has(noteUri)) void server.server.sendResourceUpdated({ uri: noteUri });
    };
    state.changes.on('tools', followTools);
    state.changes.on('note', followNote);
    server.server.onclose = () => {
      state.changes.off('tools', followTools);
      state.changes.off('note', followNote);
    };
  }
  return server;
}

function followSubscriptions(server: McpServer): Set<string> {
  const uris = new Set<string>();
  server.server.setRequestHandler('resources/subscribe', ({ params }) => {
    uris.add(params.uri);
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    uris.delete(params.uri);
    return {};
  });
  return uris;
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
    async (args, { mcpReq }) => {
      log.add({ event: 'called', tool: 'log', arguments: args });
      await mcpReq.log('warning', args.message, 'peer');
      return text('logged');
    },
  );
  server.registerTool(
    'progress',
    { description: 'Reports progress', inputSchema: z.strictObject({ steps: z.int().min(0).max(100_000) }) },
    async (args, { mcpReq }) => {
      log.add({ event: 'called', tool: 'progress', arguments: args });
      const progressToken = mcpReq._meta?.progressToken;
      for (let progress = 1; progress <= args.steps && progressToken !== undefined; progress++) {
        const params = { progressToken, progress, total: args.steps, message: `step ${progress}` };
        await mcpReq.notify({ method: 'notifications/progress', params });
      }
      await sleep(beforeAnswerMs);
      return text('done');
    },
  );
  server.registerTool(
    'slow',
    { description: 'Answers late', inputSchema: z.strictObject({ ms: z.int().min(0).max(600_000) }) },
    async (args, { mcpReq }) => {
      log.add({ event: 'called', tool: 'slow', arguments: args });
      await sleep(args.ms, undefined, { signal: mcpReq.signal });
      return text(`slept ${args.ms} ms`);
    },
  );
  server.registerTool(
    'wait_until_cancelled',
    { description: 'Answers only when cancelled', inputSchema: z.strictObject({ label: z.string() }) },
    async (args, { mcpReq }) => {
      await waitForAbort(log, 'wait_until_cancelled', args, mcpReq.signal);
      return text('cancelled');
    },
  );
  server.registerTool(
    'toggle_tool',
    { description: 'Adds or removes the tool "extra"', inputSchema: z.strictObject({}) },
    () => {
      state.extraTool = !state.extraTool;
      state.changes.emit('tools');
      return text(state.extraTool ? 'added' : 'removed');
    },
  );
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

/** Written as input_required results; towards a 2025-11-25 client the SDK turns them into requests. */
function registerAskingTools(server: McpServer, { log }: PeerState): void {
  server.registerTool(
    'ask_form',
    { description: 'Asks the user in a form', inputSchema: z.strictObject({ message: z.string() }) },
    (args, { mcpReq }) => {
      const response = inputResponse(mcpReq.inputResponses, 'form');
      if (response.kind === 'elicit') return text(`${response.action} ${JSON.stringify(response.content ?? {})}`);
      log.add({ event: 'called', tool: 'ask_form', arguments: args });
      const requestedSchema = {
        type: 'object' as const,
        properties: { answer: { type: 'string' as const } },
        required: ['answer'],
      };
      return inputRequired({
        inputRequests: { form: inputRequired.elicit({ message: args.message, requestedSchema }) },
      });
    },
  );
  server.registerTool(
    'ask_url',
    { description: 'Sends the user to a page', inputSchema: z.strictObject({ message: z.string(), url: z.url() }) },
    (args, { mcpReq }) => {
      const response = inputResponse(mcpReq.inputResponses, 'page');
      if (response.kind === 'elicit') return text(response.action);
      log.add({ event: 'called', tool: 'ask_url', arguments: args });
      return inputRequired({ inputRequests: { page: inputRequired.elicitUrl(args) } });
    },
  );
  server.registerTool(
    'sample',
    { description: "Asks the client's model", inputSchema: z.strictObject({ prompt: z.string() }) },
    (args, { mcpReq }) => {
      const response = inputResponse(mcpReq.inputResponses, 'sample');
      if (response.kind === 'sampling') return text(JSON.stringify(response.result.content));
      log.add({ event: 'called', tool: 'sample', arguments: args });
      const content = { type: 'text' as const, text: args.prompt };
      return inputRequired({
        inputRequests: {
          sample: inputRequired.createMessage({ messages: [{ role: 'user', content }], maxTokens: 100 }),
        },
      });
    },
  );
  server.registerTool(
    'list_roots',
    { description: "Lists the client's roots", inputSchema: z.strictObject({}) },
    (_, { mcpReq }) => {
      const response = inputResponse(mcpReq.inputResponses, 'roots');
      if (response.kind === 'roots') return text(response.roots.map(({ uri }) => uri).join(' '));
      log.add({ event: 'called', tool: 'list_roots' });
      return inputRequired({ inputRequests: { roots: inputRequired.listRoots() } });
    },
  );
}

function registerTaskTool(server: McpServer, { log }: PeerState, tasks: TaskStore): void {
  server.registerTool(
    'long_job',
    {
      description: 'Works for a while, in a task if the client knows tasks',
      inputSchema: z.strictObject({ ms: z.int().min(0).max(600_000) }),
    },
    (args, { mcpReq }) => {
      log.add({ event: 'called', tool: 'long_job', arguments: args });
      const work = async (signal: AbortSignal) => {
        signal.addEventListener('abort', () => log.add({ event: 'cancelled', tool: 'long_job', arguments: args }));
        await sleep(args.ms, undefined, { signal });
        return text('job done');
      };
      return offersTasks(server) ? created(tasks.create(({ signal }) => work(signal))) : work(mcpReq.signal);
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
      argsSchema: z.strictObject({ name: completable(z.string(), (typed) => startingWith(names, typed)) }),
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
  const tasks = createTaskStore();
  if (port === undefined) serveStdio(({ era }) => createV2Peer(state, tasks, era, true));
  else console.log((await startV2Http(state, port)).url);
}
