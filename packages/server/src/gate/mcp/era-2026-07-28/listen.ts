import type { ServerResponse } from 'node:http';
import type { Caller } from '../../../identity/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../../../platform/index.ts';
import { JsonRpcFailure } from '../../upstream/types.ts';
import type { Audience, ChangedList } from '../connections.ts';
import type { Door } from '../door-parts.ts';
import type { Visit } from '../era-2025-11-25/handler.ts';
import { openEventStream } from '../http-edge.ts';
import { doorLimits } from '../limits.ts';
import { createPassing } from '../passing.ts';
import { readCall } from '../read-call.ts';
import { answerText, codes, errorAnswer, messageText, type RequestId, type RpcRequest } from '../rpc.ts';
import { paramsOut, type View } from '../view.ts';
import { createAgentSide, createLaterSide, declaresTasks } from './agent-side.ts';
import { createConversation } from './conversation.ts';
import type { Envelope } from './envelope.ts';

/** Open `subscriptions/listen` streams (2026-07-28, basic/patterns/subscriptions). */
export interface Listens {
  open(visit: Visit, message: RpcRequest, envelope: Envelope): Promise<void>;
  announce(covers: (caller: Caller, view: View) => boolean, list: ChangedList): void;
  count(): number;
  close(): void;
}

interface Listen {
  caller: Caller;
  view: View;
  lists: Set<ChangedList>;
  audience: Audience;
  notify(method: string, params: JsonObject): void;
  end(answer: ReturnType<typeof errorAnswer> | 'gracefully'): void;
}

const subscriptionKey = 'io.modelcontextprotocol/subscriptionId';
const filterOf = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
} as const;

export function createListens(door: Door): Listens {
  const open = new Set<Listen>();

  async function openListen(visit: Visit, message: RpcRequest, envelope: Envelope): Promise<void> {
    const { response, caller, view } = visit;
    const filter = message.params.notifications;
    if (!isJsonObject(filter))
      throw new JsonRpcFailure({ code: codes.invalidParams, message: '"notifications" must be an object.' });
    if ([...open].filter((listen) => listen.caller.task.id === caller.task.id).length >= doorLimits.listensPerTask)
      throw new JsonRpcFailure({ code: codes.limit, message: 'This task has too many open subscriptions.' });
    const lists = new Set(
      (['tools', 'prompts', 'resources'] as const).filter((list) => filter[filterOf[list]] === true),
    );
    const uris = readUris(filter.resourceSubscriptions);
    const taskIds = declaresTasks(envelope.capabilities) ? readTaskIds(filter.taskIds) : [];
    const releases: (() => Promise<void>)[] = [];
    const listen = createListen(door, response, message.id, caller, view, lists, () => {
      open.delete(listen);
      door.connections.forget(listen.audience);
      for (const release of releases)
        release().catch((error: unknown) => door.log.info('a watch was not released', { error }));
    });
    open.add(listen);
    response.once('close', () => listen.end('gracefully'));
    if (lists.size > 0) await hearOfLists(door, caller, view, envelope);
    const watched: string[] = [];
    for (const uri of uris) {
      const release = await watch(visit, uri, envelope, listen.audience);
      if (!release) continue;
      releases.push(release);
      watched.push(uri);
    }
    const ended = new AbortController();
    releases.push(async () => ended.abort());
    const told: JsonObject[] = [];
    let tell = (task: JsonObject): void => void told.push(task);
    const ours: string[] = [];
    for (const id of taskIds)
      if (await door.waiting.watch(createLaterSide({ caller, view, envelope }), id, ended.signal, (task) => tell(task)))
        ours.push(id);
    listen.notify('notifications/subscriptions/acknowledged', {
      notifications: {
        ...(ours.length > 0 && { taskIds: ours }),
        ...Object.fromEntries([...lists].map((list) => [filterOf[list], true])),
        ...(watched.length > 0 && { resourceSubscriptions: watched }),
      },
    });
    tell = (task) => listen.notify('notifications/tasks', task);
    for (const task of told) tell(task);
  }

  /** An action like any other; what is refused, or what the server does not let watch, is left out of the acknowledgement. */
  async function watch(
    { caller, view }: Visit,
    uri: string,
    envelope: Envelope,
    audience: Audience,
  ): Promise<(() => Promise<void>) | undefined> {
    const params = { uri };
    const call = readCall(view, 'resources/subscribe', params);
    const asked = { caller, view, method: call.method, params, envelope };
    let release: (() => Promise<void>) | undefined;
    const conversation = createConversation((own) =>
      door.act(createAgentSide(door, asked, own, null, null), {
        ...call,
        async perform(connection) {
          release = await door.connections.watch(connection, call.name, audience);
          return {};
        },
      }),
    );
    await conversation.next();
    return release;
  }

  return {
    open: openListen,
    announce(covers, list) {
      for (const listen of open) {
        if (listen.lists.has(list) && covers(listen.caller, listen.view))
          listen.notify(`notifications/${list}/list_changed`, {});
      }
    },
    count: () => open.size,
    close() {
      for (const listen of [...open]) listen.end('gracefully');
    },
  };
}

/** A list change is heard of from the server itself, so in the plain view its connection is opened before the first word. */
async function hearOfLists(door: Door, caller: Caller, view: View, envelope: Envelope): Promise<void> {
  if (view.server === null) return;
  const { capabilities } = envelope;
  try {
    const connection = await door.connections.get({ caller, capabilities, session: undefined }, view.server);
    await door.connections.announces(connection);
  } catch (error) {
    door.log.info('a server whose lists are watched cannot be had', { server: view.server, error });
  }
}

function createListen(
  door: Door,
  response: ServerResponse,
  id: RequestId,
  caller: Caller,
  view: View,
  lists: Set<ChangedList>,
  onEnd: () => void,
): Listen {
  const meta = { [subscriptionKey]: id };
  const passing = createPassing(door.log);
  let acknowledged = false;
  let ended = false;
  let keepAlive: NodeJS.Timeout | undefined;
  const write = (text: string) => {
    if (response.destroyed) return;
    response.write(text);
    if (response.writableLength > doorLimits.unsentBytes) response.destroy();
  };
  const listen: Listen = {
    caller,
    view,
    lists,
    audience: {
      resourceUpdated: (server, uri) => {
        // A name that is not shown as it is is no name of what the agent watches.
        const tell = ({ uri: shown }: JsonObject) => {
          if (shown === uri) listen.notify('notifications/resources/updated', paramsOut(view, server, { uri }));
        };
        passing.pass(() => door.enforcement.hear(caller, server, { uri }), tell);
      },
      message: () => undefined,
      lost: () => listen.end('gracefully'),
    },
    notify(method, params) {
      const first = method === 'notifications/subscriptions/acknowledged';
      // What happens before the acknowledgement is part of the state that the client reads after it.
      if (ended || (!first && !acknowledged)) return;
      if (first) {
        acknowledged = true;
        openEventStream(response);
        keepAlive = setInterval(() => write(': keep-alive\n\n'), doorLimits.keepAliveMs);
        keepAlive.unref();
      }
      const own = isJsonObject(params._meta) ? params._meta : {};
      write(`event: message\ndata: ${messageText(method, { ...params, _meta: { ...own, ...meta } })}\n\n`);
    },
    end(answer) {
      if (ended) return;
      ended = true;
      clearInterval(keepAlive);
      clearTimeout(expiry);
      release();
      onEnd();
      const last = answer === 'gracefully' ? { result: { resultType: 'complete', _meta: meta } } : answer;
      if (!acknowledged) response.destroy();
      else if (!response.destroyed) response.end(`event: message\ndata: ${answerText(id, last)}\n\n`);
    },
  };
  // A stream lives no longer than the token it was opened with; the client comes back with a newer one.
  const left = Math.max(0, caller.expiresAt - door.clock.now());
  const expiry = setTimeout(() => listen.end('gracefully'), Math.min(left, 2 ** 31 - 1));
  const release = door.enforcement.attach(caller, (reason) =>
    listen.end(errorAnswer(codes.ended, `The subscription has ended: ${reason}`)),
  );
  return listen;
}

const readUris = (value: Json | undefined) =>
  readStrings(value, '"resourceSubscriptions" must be a list of URIs.', doorLimits.watchedResources);

const readTaskIds = (value: Json | undefined) =>
  readStrings(value, '"taskIds" must be a list of ids.', doorLimits.waitingTasksPerTask);

function readStrings(value: Json | undefined, problem: string, most: number): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string'))
    throw new JsonRpcFailure({ code: codes.invalidParams, message: problem });
  if (value.length > most)
    throw new JsonRpcFailure({
      code: codes.limit,
      message: `A subscription watches at most ${most} of each kind.`,
    });
  return [...new Set(value)];
}
