import { isJsonObject, type Json, type JsonObject, type Secret } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import { parameterHeaders } from '../upstream/parameter-headers.ts';
import type { UpstreamConnection, UpstreamRequest } from '../upstream/types.ts';
import { type AgentSide, type Call, isLogLevel, levelPasses } from './agent-side.ts';

const logLevelKey = 'io.modelcontextprotocol/logLevel';

/** The log level that each 2025-11-25 connection was last told. */
const levels = new WeakMap<UpstreamConnection, string>();

/** What of the parameters is decided on and recorded. Of the methods that are not named here it is all of them. */
const decidedOn: Record<string, readonly string[]> = {
  'tools/call': ['name', 'arguments'],
  'prompts/get': ['name', 'arguments'],
  'resources/read': ['uri'],
  'resources/subscribe': ['uri'],
  'resources/unsubscribe': ['uri'],
};

/**
 * The request as its server's era has it. What was decided on goes out as it was parsed, and nothing else of what the client said: what
 * stands beside it, in `_meta` or under names that no method has, was seen by no policy and no approver. Members that only the agent's era
 * knows stay behind.
 */
export async function toUpstream(
  connection: UpstreamConnection,
  agent: AgentSide,
  call: Call,
  capabilities: JsonObject,
  registry: Registry,
  traceparent?: string,
  filling?: Readonly<Record<string, Secret>>,
): Promise<UpstreamRequest> {
  const { inputResponses, requestState, task, _meta, ...params } = call.params;
  const names = decidedOn[call.method] ?? Object.keys(params);
  const given = Object.fromEntries(Object.entries(params).filter(([name]) => names.includes(name)));
  const { definition, filled = {} } = registry.snapshot().servers.get(call.server)?.tools.get(call.name) ?? {};
  const added =
    call.method === 'tools/call' && filling
      ? Object.entries(filling).flatMap(([name, value]) =>
          Object.hasOwn(filled, name) ? [[name, value.reveal()] as const] : [],
        )
      : [];
  const args = added.length > 0 ? { ...asObject(given.arguments), ...Object.fromEntries(added) } : given.arguments;
  const rest = args === undefined ? given : { ...given, arguments: args };
  const meta: JsonObject = {};
  if (isJsonObject(_meta) && _meta.progressToken !== undefined) meta.progressToken = _meta.progressToken;
  if (traceparent !== undefined) meta.traceparent = traceparent;
  if (connection.era === '2025-11-25') {
    await tellLevel(connection, agent);
    const runsTask = agent.era === '2025-11-25' && isJsonObject(task) && isJsonObject(connection.capabilities.tasks);
    return {
      method: call.method,
      params: {
        ...rest,
        ...(runsTask && { task: typeof task.ttl === 'number' ? { ttl: task.ttl } : {} }),
        ...(Object.keys(meta).length > 0 && { _meta: meta }),
      },
      traceparent,
    };
  }
  if (agent.logLevel !== null) meta[logLevelKey] = agent.logLevel;
  return {
    method: call.method,
    params: {
      ...rest,
      ...(inputResponses !== undefined && { inputResponses }),
      ...(requestState !== undefined && { requestState }),
      _meta: meta,
    },
    clientCapabilities: capabilities,
    traceparent,
    ...(call.method === 'tools/call' && { headers: headersFor(definition, filled, asObject(args)) }),
  };
}

/**
 * A session's level is its connection's. Where requests have levels of their own the connection has the most talkative; what a
 * request does not want is dropped on the way back. A connection that others share keeps its own.
 */
async function tellLevel(connection: UpstreamConnection, agent: AgentSide): Promise<void> {
  const { logLevel } = agent;
  if (!isLogLevel(logLevel) || !isJsonObject(connection.capabilities.logging)) return;
  const told = levels.get(connection);
  if (told === logLevel || (agent.session === undefined && told !== undefined && levelPasses(logLevel, told))) return;
  levels.set(connection, logLevel);
  await connection.request({ method: 'logging/setLevel', params: { level: logLevel } }, { signal: agent.signal });
}

/** Of all that the body has, also of what was filled in. */
function headersFor(
  definition: JsonObject | null | undefined,
  filled: JsonObject,
  args: JsonObject,
): Record<string, string> {
  const { inputSchema } = definition ?? {};
  if (!isJsonObject(inputSchema)) return {};
  return parameterHeaders({ ...inputSchema, properties: { ...asObject(inputSchema.properties), ...filled } }, args);
}

const asObject = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});
