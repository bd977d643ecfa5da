import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';

/**
 * How names look to the agent. In the plain view (`/mcp/SERVER`) they are the server's own. In the aggregate view (`/mcp`) a tool
 * or prompt is `SERVER__NAME`, a resource `SERVER+its:uri`, a task `SERVER+ID`: server names hold neither `_` nor `+`, so that
 * every name leads to one server and back.
 */
export interface View {
  /** The one server, or null for all of them. */
  readonly server: string | null;
  nameOut(server: string, name: string): string;
  uriOut(server: string, uri: string): string;
  /** Undefined when the name can't be one of ours. */
  nameIn(name: string): Named | undefined;
  uriIn(uri: string): Named | undefined;
}

export interface Named {
  server: string;
  name: string;
}

export const serverName = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

export function plainView(server: string): View {
  const same = (name: string): Named => ({ server, name });
  return { server, nameOut: (_, name) => name, uriOut: (_, uri) => uri, nameIn: same, uriIn: same };
}

export const aggregateView: View = {
  server: null,
  nameOut: (server, name) => `${server}__${name}`,
  uriOut: (server, uri) => `${server}+${uri}`,
  nameIn: (name) => split(name, '__'),
  uriIn: (uri) => split(uri, '+'),
};

function split(text: string, separator: string): Named | undefined {
  const at = text.indexOf(separator);
  const server = text.slice(0, at);
  return at > 0 && serverName.test(server) ? { server, name: text.slice(at + separator.length) } : undefined;
}

const relatedTask = 'io.modelcontextprotocol/related-task';

/** A result, as the agent may use its names: nothing else in it changes, and in the plain view nothing at all. */
export function resultOut(view: View, server: string, method: string, result: JsonObject): JsonObject {
  if (view.server !== null) return result;
  const out = { ...result };
  if (Array.isArray(result.content)) out.content = result.content.map((item) => contentOut(view, server, item));
  if (method === 'prompts/get' && Array.isArray(result.messages)) {
    out.messages = result.messages.map((message) =>
      isJsonObject(message) ? { ...message, content: contentOut(view, server, message.content ?? null) } : message,
    );
  }
  if (method === 'resources/read' && Array.isArray(result.contents))
    out.contents = result.contents.map((item) => uriMemberOut(view, server, item));
  if (isJsonObject(result.task)) out.task = taskOut(view, server, result.task);
  if (typeof result.taskId === 'string') Object.assign(out, taskOut(view, server, result));
  if (method === 'tasks/get' && isJsonObject(result.result))
    out.result = resultOut(view, server, 'tools/call', result.result);
  if (isJsonObject(result._meta)) out._meta = metaOut(view, server, result._meta);
  return out;
}

/** `data.uri` of a resource that was not found. */
export function errorDataOut(view: View, server: string, data: Json): Json {
  return view.server === null ? uriMemberOut(view, server, data) : data;
}

/** Parameters of what a server says or asks, with `_meta`'s related task named as the agent knows it. */
export function paramsOut(view: View, server: string, params: JsonObject): JsonObject {
  if (view.server !== null) return params;
  const out = { ...params };
  if (typeof params.uri === 'string') out.uri = view.uriOut(server, params.uri);
  if (typeof params.taskId === 'string') Object.assign(out, taskOut(view, server, params));
  if (isJsonObject(params._meta)) out._meta = metaOut(view, server, params._meta);
  return out;
}

export function taskOut(view: View, server: string, task: JsonObject): JsonObject {
  return typeof task.taskId === 'string' ? { ...task, taskId: view.uriOut(server, task.taskId) } : task;
}

function metaOut(view: View, server: string, meta: JsonObject): JsonObject {
  const related = meta[relatedTask];
  return isJsonObject(related) ? { ...meta, [relatedTask]: taskOut(view, server, related) } : meta;
}

function contentOut(view: View, server: string, item: Json): Json {
  if (!isJsonObject(item)) return item;
  if (item.type === 'resource_link') return uriMemberOut(view, server, item);
  if (item.type === 'resource') return { ...item, resource: uriMemberOut(view, server, item.resource ?? null) };
  return item;
}

function uriMemberOut(view: View, server: string, item: Json): Json {
  return isJsonObject(item) && typeof item.uri === 'string' ? { ...item, uri: view.uriOut(server, item.uri) } : item;
}
