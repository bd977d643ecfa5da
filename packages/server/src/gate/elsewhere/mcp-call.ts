import type { Caller } from '../../identity/index.ts';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import type { DefinitionKind, Snapshot } from '../../registry/index.ts';
import { readCall } from '../mcp/read-call.ts';
import { plainView } from '../mcp/view.ts';
import type { AskedCall, Gateway } from './gateway.ts';

/** What an MCP request at another gateway is about. */
export type McpAsked =
  /** An action of its own. */
  | { kind: 'call'; call: AskedCall }
  /** What every client does with a server as a whole: connect, and see what there is. */
  | { kind: 'server'; shows: DefinitionKind[] }
  | { kind: 'refused'; code: string; reason: string };

/** Requests that are about the server as a whole, with what of its definitions their answer shows. */
const ofTheServer: Record<string, DefinitionKind[]> = {
  initialize: ['instructions'],
  'server/discover': ['instructions'],
  'tools/list': ['tool'],
  'resources/list': ['resource'],
  'resources/templates/list': ['resource-template'],
  'prompts/list': ['prompt'],
  'logging/setLevel': [],
};

const calls = new Set([
  'tools/call',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/get',
  'completion/complete',
]);

/**
 * Both eras' requests. What is not named here is refused, so that a method of a later version passes only when somebody has thought about it:
 * tasks, because whose a task is only who started it knows, and subscriptions, because what comes over them nobody here sees.
 */
export function readMcpRequest(server: string, method: string, params: JsonObject): McpAsked {
  if (Object.hasOwn(ofTheServer, method)) return { kind: 'server', shows: ofTheServer[method] as DefinitionKind[] };
  if (!calls.has(method))
    return {
      kind: 'refused',
      code: 'operation.unknown',
      reason: `"${method.slice(0, 100)}" is not an operation that is decided for other gateways.`,
    };
  const call = readCall(plainView(server), method, params);
  return { kind: 'call', call: { operation: method, server, name: call.name, arguments: call.arguments } };
}

/**
 * Why the agent may not see this server as it is, if so. Another gateway shows an agent what the server serves now, and not what was approved
 * (law 8): so while any of that waits for review nothing is shown.
 */
export function whyNotShown(
  snapshot: Snapshot,
  gateway: Gateway,
  caller: Caller,
  name: string,
  shows: readonly DefinitionKind[],
): { code: string; reason: string } | undefined {
  const { environment } = caller.task;
  const server = snapshot.servers.get(name);
  if (
    gateway.environment !== environment ||
    !gateway.servers.includes(name) ||
    !server?.manifest.environments.includes(environment)
  )
    return {
      code: 'server.unknown',
      reason: `There is no tool server "${name.slice(0, 64)}" behind this gateway in environment "${environment}".`,
    };
  const tools = shows.includes('tool') ? [...server.tools.values()] : [];
  const others = server.definitions.filter(({ kind }) => shows.includes(kind));
  const held = [...tools, ...others].filter(({ state }) => state === 'held');
  const [first] = held;
  if (!first) return undefined;
  return {
    code: 'definition.held',
    reason: `${held.length} definition(s) of ${name} wait for review ("${first.name.slice(0, 100)}"), and this gateway shows them as the server serves them. Ask an operator to review them under Tools; what nobody may use is named in the manifest with tier 4.`,
  };
}

export const asObject = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});
