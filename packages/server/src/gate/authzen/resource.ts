import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { AskedCall, Gateway } from '../elsewhere/gateway.ts';
import { type McpAsked, readMcpRequest } from '../elsewhere/mcp-call.ts';
import { JsonRpcFailure } from '../upstream/types.ts';
import type { EvaluationRequest } from './request.ts';

/** What an AuthZEN request is about. */
export type Asked = McpAsked & { server: string };

/**
 * Action and resource as a call of a registered tool: by the MCP binding (COAZ-MCP: the action is the MCP method, the resource a `tool`,
 * `resource`, `prompt` or `mcp_server`), with the call's arguments in `context.arguments`; or by the gateway's own names, where its
 * manifest says which tool they stand for. Anything else is nothing that could be decided.
 */
export function askedOf(gateway: Gateway, request: EvaluationRequest): Asked {
  const { action, resource } = request;
  const mapped = gateway.setting.resources.find(({ type }) => type === resource.type);
  if (mapped) {
    const tool = Object.hasOwn(mapped.actions, action.name) ? mapped.actions[action.name] : undefined;
    if (tool === undefined) return unmapped(request);
    const at = tool.indexOf('/');
    const server = tool.slice(0, at);
    const args = mappedArguments(mapped.arguments, { ...request, subject: knownSubject(gateway, request.subject) });
    if (typeof args === 'string')
      return {
        kind: 'refused',
        server,
        code: 'arguments.missing',
        reason: `The request lacks ${args}, which is an argument.`,
      };
    const call = { operation: 'tools/call', server, name: tool.slice(at + 1), arguments: args };
    return { kind: 'call', server, call };
  }
  return byMcp(gateway, request);
}

function byMcp(gateway: Gateway, request: EvaluationRequest): Asked {
  const { action, resource, context = {} } = request;
  const named = namedBy(gateway, request);
  if (!named) return unmapped(request);
  const { server, name } = named;
  const given = context.arguments;
  // A decision binds the arguments, so a request without them is about no call at all.
  const isCall = action.name === 'tools/call' || action.name === 'prompts/get';
  if (isCall && !isJsonObject(given))
    return {
      kind: 'refused',
      server,
      code: 'arguments.missing',
      reason:
        'Send the arguments of the call as "context.arguments" (an object, {} for none): they are what is decided on.',
    };
  const params: JsonObject =
    action.name === 'completion/complete'
      ? {
          ref: resource.type === 'prompt' ? { type: 'ref/prompt', name } : { type: 'ref/resource', uri: name },
          ...(isJsonObject(given) && given),
        }
      : resource.type === 'resource'
        ? { uri: name }
        : { name, ...(isJsonObject(given) && { arguments: given }) };
  try {
    return { ...readMcpRequest(server, action.name, params), server };
  } catch (error) {
    if (!(error instanceof JsonRpcFailure)) throw error;
    return { kind: 'refused', server, code: 'arguments.invalid', reason: error.error.message };
  }
}

/** Which kind of thing each method is about. */
const typeOf: Record<string, string[]> = {
  'tools/call': ['tool'],
  'resources/read': ['resource'],
  'resources/subscribe': ['resource'],
  'resources/unsubscribe': ['resource'],
  'prompts/get': ['prompt'],
  'completion/complete': ['prompt', 'resource'],
};

/**
 * `SERVER/NAME`, or the name alone where `resource.properties.server` says whose it is or only one server stands behind the gateway. A server
 * as a whole is named, or by the audience that its tokens have, or by the address of the MCP endpoint that it is at.
 */
function namedBy(
  { setting }: Gateway,
  { action, resource }: EvaluationRequest,
): { server: string; name: string } | undefined {
  const types = Object.hasOwn(typeOf, action.name) ? (typeOf[action.name] as string[]) : ['mcp_server'];
  if (!types.includes(resource.type)) return undefined;
  const { servers } = setting;
  if (resource.type === 'mcp_server') {
    const url = URL.parse(resource.id);
    const path = url?.pathname ?? '';
    const at =
      url && setting.urls.includes(url.origin) && Object.hasOwn(setting.mcp, path) ? setting.mcp[path] : undefined;
    const server =
      at ?? (servers.find((name) => resource.id === name || path === `/mcp/${name}`) as string | undefined);
    return server === undefined ? undefined : { server, name: '' };
  }
  const said = resource.properties?.server;
  if (typeof said === 'string') return { server: said, name: resource.id };
  if (resource.type === 'tool') {
    const at = resource.id.indexOf('/');
    const server = resource.id.slice(0, at);
    if (at > 0 && servers.includes(server)) return { server, name: resource.id.slice(at + 1) };
  }
  const [only, ...more] = servers;
  return only === undefined || more.length > 0 ? undefined : { server: only, name: resource.id };
}

/** On record as a refusal like any other: a call of no server. */
function unmapped({ action, resource }: EvaluationRequest): Asked {
  const call: AskedCall = {
    operation: 'tools/call',
    server: '',
    name: `${resource.type} ${resource.id} ${action.name}`.slice(0, 200),
    arguments: {},
  };
  return { kind: 'call', server: '', call };
}

/** What an operator says of a subject counts before what the request says. */
function knownSubject({ setting }: Gateway, subject: EvaluationRequest['subject']): EvaluationRequest['subject'] {
  const known = setting.subjects.find(({ type, id }) => type === subject.type && id === subject.id);
  return { ...subject, properties: { ...subject.properties, ...known?.properties } };
}

/** Or the source that the request lacks. */
function mappedArguments(sources: Readonly<Record<string, string>>, request: EvaluationRequest): JsonObject | string {
  const found: JsonObject = {};
  for (const [argument, source] of Object.entries(sources)) {
    const value = valueAt(source, request);
    if (value !== undefined) found[argument] = value;
    else if (!source.endsWith('?')) return source.slice(1);
  }
  return found;
}

function valueAt(source: string, { subject, action, resource }: EvaluationRequest): Json | undefined {
  const [entity = '', member = '', property = ''] = source.replace(/\?$/, '').slice(1).split('.');
  if (entity === 'resource' && member === 'id') return resource.id;
  if (entity === 'resource' && member === 'type') return resource.type;
  const { properties = {} } = { subject, action, resource }[entity as 'subject' | 'action' | 'resource'];
  return Object.hasOwn(properties, property) ? (properties[property] as Json) : undefined;
}
