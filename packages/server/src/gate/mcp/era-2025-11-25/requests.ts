import { isJsonObject, type JsonObject } from '../../../platform/index.ts';
import type { RegisteredTool } from '../../../registry/index.ts';
import type { UpstreamAnswer, UpstreamConnection } from '../../upstream/types.ts';
import { type AgentSide, type Call, isLogLevel } from '../agent-side.ts';
import { isListMethod, needsPerson } from '../catalogue.ts';
import type { Door } from '../door-parts.ts';
import { asObject, taskSupportOf } from '../grants.ts';
import { doorLimits } from '../limits.ts';
import { actionMethods, readCall } from '../read-call.ts';
import { codes, errorAnswer } from '../rpc.ts';
import { taskOut, type View } from '../view.ts';
import type { Session } from './session.ts';

/** Answers one request of a session. Whatever is not named here is refused: a method that nobody decided on does not pass. */
export async function answerRequest(
  door: Door,
  session: Session,
  agent: AgentSide,
  method: string,
  params: JsonObject,
): Promise<UpstreamAnswer> {
  const { view } = session;
  const { caller } = agent;
  if (isListMethod(method)) {
    await door.look(caller, view);
    const list = await door.catalogue.list(method, caller, view, params.cursor);
    return { result: method === 'tools/list' && session.version === '2025-11-25' ? withTasks(door, view, list) : list };
  }
  const own = method.startsWith('tasks/') ? await door.waiting.answer(agent, method, params) : undefined;
  if (own) return own;
  if ((actionMethods['2025-11-25'] as readonly string[]).includes(method)) {
    const call = readCall(view, method, params);
    if (method.startsWith('tasks/') && !door.tasks.owns(caller, call.server, call.name)) return unknownTask();
    door.definitions.used(call.server);
    const isOurs = agent.takesTask !== undefined && isOfferedHere(toolOf(door, call.server, call.name));
    return isOurs ? door.waiting.start(agent, call) : door.act(agent, call);
  }
  switch (method) {
    case 'ping':
      return { result: {} };
    case 'logging/setLevel':
      if (!isLogLevel(params.level)) return errorAnswer(codes.invalidParams, 'There is no such log level.');
      session.logLevel = params.level;
      return { result: {} };
    case 'resources/subscribe':
      return subscribe(door, session, agent, params);
    case 'resources/unsubscribe':
      return unsubscribe(door, session, agent, params);
    case 'tasks/list':
      return listTasks(door, session, agent, params);
    default:
      return errorAnswer(codes.methodNotFound, `The method ${JSON.stringify(method.slice(0, 100))} does not exist.`);
  }
}

const toolOf = (door: Door, server: string, name: string) =>
  door.registry.snapshot().servers.get(server)?.tools.get(name);

/** What a person has to approve can be had as a task, of the gate's own where its server has none. */
const isOfferedHere = (tool: RegisteredTool | undefined) =>
  needsPerson(tool) && taskSupportOf(tool?.definition) === undefined;

function withTasks(door: Door, view: View, { tools, ...list }: JsonObject): JsonObject {
  if (!Array.isArray(tools)) return list;
  const offered = tools.map((tool) => {
    const at = isJsonObject(tool) ? view.nameIn(String(tool.name)) : undefined;
    if (!at || !isJsonObject(tool) || !isOfferedHere(toolOf(door, at.server, at.name))) return tool;
    return { ...tool, execution: { ...asObject(tool.execution), taskSupport: 'optional' } };
  });
  return { ...list, tools: offered };
}

const unknownTask = () => errorAnswer(codes.invalidParams, 'There is no such task.');

async function subscribe(door: Door, session: Session, agent: AgentSide, params: JsonObject): Promise<UpstreamAnswer> {
  const call = readCall(session.view, 'resources/subscribe', params);
  if (session.watches.size >= doorLimits.watchedResources)
    return errorAnswer(codes.limit, `A session watches at most ${doorLimits.watchedResources} resources.`);
  return door.act(agent, { ...call, perform: (connection) => watch(door, session, call, connection) });
}

async function watch(door: Door, session: Session, call: Call, connection: UpstreamConnection): Promise<JsonObject> {
  const key = `${call.server}+${call.name}`;
  if (!session.watches.has(key)) {
    const release = await door.connections.watch(connection, call.name, session.audience);
    session.watches.set(key, { server: call.server, uri: call.name, release });
  }
  return {};
}

async function unsubscribe(
  door: Door,
  session: Session,
  agent: AgentSide,
  params: JsonObject,
): Promise<UpstreamAnswer> {
  const call = readCall(session.view, 'resources/unsubscribe', params);
  const perform = async (): Promise<JsonObject> => {
    const key = `${call.server}+${call.name}`;
    const held = session.watches.get(key);
    session.watches.delete(key);
    await held?.release();
    return {};
  };
  return door.act(agent, { ...call, perform });
}

const maxTaskPages = 10;

/** Tasks of this gate task only, of every server that it has any at: a server's list is everybody's (Task Isolation). */
async function listTasks(door: Door, session: Session, agent: AgentSide, params: JsonObject): Promise<UpstreamAnswer> {
  const { view } = session;
  const { caller } = agent;
  if (params.cursor !== undefined) return errorAnswer(codes.invalidParams, 'The cursor is not one of this list.');
  const found: JsonObject[] = await door.waiting.list(agent);
  const servers = door.tasks.serversOf(caller).filter((name) => view.server === null || view.server === name);
  for (const server of servers.sort()) {
    let cursor: unknown;
    for (let page = 0; page < maxTaskPages; page++) {
      const sent: JsonObject = typeof cursor === 'string' ? { cursor } : {};
      const call = { method: 'tasks/list', server, name: '', arguments: sent, params: sent };
      const answer = await door.act(agent, call);
      if ('error' in answer) return answer;
      const tasks = Array.isArray(answer.result.tasks) ? answer.result.tasks : [];
      for (const task of tasks) {
        if (isJsonObject(task) && typeof task.taskId === 'string' && door.tasks.owns(caller, server, task.taskId))
          found.push(taskOut(view, server, listed(task)));
      }
      cursor = answer.result.nextCursor;
      if (typeof cursor !== 'string') break;
    }
  }
  return { result: { tasks: found } };
}

/** One of many: what it says of its result is in its own `tasks/get`, which is decided on as the call that started it. */
function listed({ taskId, status, createdAt, lastUpdatedAt, ttl, pollInterval }: JsonObject): JsonObject {
  const task = { taskId, status, createdAt, lastUpdatedAt, ttl, pollInterval };
  return Object.fromEntries(Object.entries(task).filter(([, value]) => value !== undefined)) as JsonObject;
}

/** What a client says without asking for anything. Unknown notifications are dropped. */
export async function takeNotification(
  door: Door,
  session: Session,
  method: string,
  params: JsonObject,
): Promise<void> {
  switch (method) {
    case 'notifications/cancelled':
      if (typeof params.requestId === 'string' || typeof params.requestId === 'number')
        session.cancel(params.requestId);
      return;
    case 'notifications/progress': {
      const target = session.progressTarget(params.progressToken);
      await target?.connection.notify(method, { ...params, progressToken: target.token });
      return;
    }
    case 'notifications/roots/list_changed':
      for (const connection of door.connections.of(session.audience)) await connection.notify(method);
      return;
  }
}
