import type { GatewayRoute } from '@gatehouse/protocol';
import { isJsonObject, type Json, type JsonObject, parseStrictJson } from '../../platform/index.ts';
import type { Snapshot } from '../../registry/index.ts';
import type { AskedCall, Gateway } from '../elsewhere/gateway.ts';
import { isJson } from '../mcp/http-edge.ts';
import { ambiguous, type ReadRequest } from './checked-request.ts';

/**
 * An HTTP request as a call of a tool, where the gateway's manifest says which. Everything in it that could matter is an argument, or the
 * request is refused: a parameter or member that no argument takes would be passed on undecided.
 */
export function callOfRoute(gateway: Gateway, snapshot: Snapshot, request: ReadRequest): AskedCall | undefined {
  for (const route of gateway.setting.routes) {
    if (route.method !== request.method) continue;
    const found = matched(route.path, request.pathname);
    if (!found) continue;
    const at = route.tool.indexOf('/');
    const [server, name] = [route.tool.slice(0, at), route.tool.slice(at + 1)];
    const schema = snapshot.servers.get(server)?.tools.get(name)?.definition?.inputSchema;
    return { operation: 'tools/call', server, name, arguments: argumentsOf(route, found, request, typesOf(schema)) };
  }
  return undefined;
}

function matched(template: string, path: string): Record<string, string> | undefined {
  const [wanted, given] = [template.split('/'), path.split('/')];
  if (wanted.length !== given.length) return undefined;
  const found: Record<string, string> = {};
  for (const [at, segment] of wanted.entries()) {
    const value = given[at] as string;
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (name !== undefined) found[name] = value;
    else if (segment !== value) return undefined;
  }
  return found;
}

type Types = Readonly<Record<string, string | undefined>>;

function argumentsOf(
  { arguments: sources }: GatewayRoute,
  path: Record<string, string>,
  request: ReadRequest,
  types: Types,
): JsonObject {
  const query = queryOf(request.query);
  const body = bodyOf(Object.values(sources), request);
  const found: JsonObject = {};
  const [usedQuery, usedBody] = [new Set<string>(), new Set<string>()];
  for (const [argument, source] of Object.entries(sources)) {
    if (source === '$body') {
      if (body !== undefined) found[argument] = body;
      continue;
    }
    const [, from, name = ''] = source.split(/[$.]/);
    if (from === 'path') found[argument] = typed(path[name] as string, types[argument]);
    if (from === 'query') {
      usedQuery.add(name);
      const value = query.get(name);
      if (value !== undefined) found[argument] = typed(value, types[argument]);
    }
    if (from === 'body') {
      usedBody.add(name);
      if (isJsonObject(body) && Object.hasOwn(body, name)) found[argument] = body[name] as Json;
    }
  }
  for (const name of query.keys())
    if (!usedQuery.has(name)) throw ambiguous(`no argument takes its query parameter "${name.slice(0, 60)}"`);
  if (usedBody.size > 0 && isJsonObject(body))
    for (const name of Object.keys(body))
      if (!usedBody.has(name)) throw ambiguous(`no argument takes the member "${name.slice(0, 60)}" of its body`);
  return found;
}

function queryOf(query: string): Map<string, string> {
  const found = new Map<string, string>();
  if (query === '') return found;
  // A plus is a space to some and a plus to others, and a semicolon separates for some.
  if (/[+;\\#]/.test(query))
    throw ambiguous('its query has a character that is read in two ways ("+", ";"): encode it');
  for (const pair of query.split('&')) {
    const [name = '', ...rest] = pair.split('=');
    if (!/^[A-Za-z0-9._~-]+$/.test(name)) throw ambiguous('a name in its query is not plain');
    if (found.has(name)) throw ambiguous(`its query has "${name.slice(0, 60)}" twice`);
    try {
      found.set(name, decodeURIComponent(rest.join('=')));
    } catch {
      throw ambiguous('its query is not well encoded');
    }
  }
  return found;
}

function bodyOf(sources: string[], { headers, body }: ReadRequest): Json | undefined {
  const wants = sources.some((source) => source.startsWith('$body'));
  if (body.byteLength === 0) return undefined;
  if (!wants) throw ambiguous('it has a body, and no argument takes anything of it');
  if (!isJson(headers['content-type'])) throw ambiguous('its body is not application/json');
  const parsed = parseStrictJson(body);
  if (!sources.includes('$body') && !isJsonObject(parsed)) throw ambiguous('its body is no JSON object');
  return parsed;
}

function typesOf(schema: unknown): Types {
  const properties = isJsonObject(schema) && isJsonObject(schema.properties) ? schema.properties : {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, each]) => [
      name,
      isJsonObject(each) && typeof each.type === 'string' ? each.type : undefined,
    ]),
  );
}

/** Text as the tool's schema has the argument; what does not fit stays text, which the schema then refuses. */
function typed(text: string, type: string | undefined): Json {
  if (type === 'integer' && /^(0|-?[1-9]\d{0,14})$/.test(text)) return Number(text);
  if (type === 'number' && /^-?(0|[1-9]\d{0,14})(\.\d{1,10})?$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
