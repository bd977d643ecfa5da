import { isJsonObject, type Json, type JsonObject, type Log } from '../../platform/index.ts';
import type { DefinitionKind, ServedDefinition } from '../../registry/index.ts';
import type { UpstreamLimits } from './limits.ts';
import { violation } from './messages.ts';
import { readHeaderDeclarations } from './parameter-headers.ts';
import { type UpstreamConnection, UpstreamFailure } from './types.ts';

const lists: { capability: string; method: string; member: string; kind: DefinitionKind; key: string }[] = [
  { capability: 'tools', method: 'tools/list', member: 'tools', kind: 'tool', key: 'name' },
  { capability: 'prompts', method: 'prompts/list', member: 'prompts', kind: 'prompt', key: 'name' },
  { capability: 'resources', method: 'resources/list', member: 'resources', kind: 'resource', key: 'uri' },
  {
    capability: 'resources',
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    kind: 'resource-template',
    key: 'uriTemplate',
  },
];

/**
 * Everything that a server says of itself to a client, entry by entry as it is served (law 8). Throws UpstreamFailure `violation`
 * when it serves more than a registry takes or its pages do not end.
 */
export async function readDefinitions(
  connection: UpstreamConnection,
  options: { limits: UpstreamLimits; log: Log; overHttp: boolean },
): Promise<ServedDefinition[]> {
  const { limits, log, overHttp } = options;
  const served: ServedDefinition[] = [];
  if (connection.instructions !== undefined)
    served.push({ kind: 'instructions', name: '', body: connection.instructions });
  for (const list of lists) {
    if (!isJsonObject(connection.capabilities[list.capability])) continue;
    for (const entry of await readList(connection, list, limits)) {
      const name = isJsonObject(entry) ? entry[list.key] : undefined;
      if (typeof name !== 'string' || name === '' || name.length > 2_000)
        throw violation(`The server serves an entry of ${list.member} without ${list.key}.`);
      // A name that is served twice goes on as it is: the registry holds it back, and it must not keep the rest from being compared.
      const invalid =
        list.kind === 'tool' && overHttp && connection.era === '2026-07-28' ? whyInvalid(entry) : undefined;
      if (invalid === undefined) served.push({ kind: list.kind, name, body: entry });
      // 2026-07-28 Streamable HTTP: such a tool is left out, the others stay usable.
      else log.warn('upstream.tool-left-out', { tool: name, why: invalid });
    }
  }
  return served;
}

async function readList(
  connection: UpstreamConnection,
  { method, member }: { method: string; member: string },
  limits: UpstreamLimits,
): Promise<Json[]> {
  const entries: Json[] = [];
  const cursors = new Set<string>();
  for (let cursor: string | undefined; ; ) {
    const params: JsonObject = cursor === undefined ? {} : { cursor };
    const answer = await connection.request({ method, params }, { signal: AbortSignal.timeout(limits.idleTimeoutMs) });
    if ('error' in answer) {
      const { code } = answer.error;
      // Declared, but not served: some servers have resources without templates.
      if (code === -32601) return entries;
      throw new UpstreamFailure('refused', `The server does not answer ${method} (${code}).`, {
        mayHaveRun: false,
      });
    }
    const { [member]: page, nextCursor } = answer.result;
    if (!Array.isArray(page)) throw violation(`The server answers ${method} without ${member}.`);
    entries.push(...page);
    if (entries.length > limits.definitions)
      throw violation(`The server serves more than ${limits.definitions} entries of ${member}.`);
    if (nextCursor === undefined) return entries;
    if (typeof nextCursor !== 'string' || cursors.has(nextCursor) || cursors.size >= limits.definitions)
      throw violation(`The pages of ${method} do not end.`);
    cursors.add(nextCursor);
    cursor = nextCursor;
  }
}

function whyInvalid(tool: Json): string | undefined {
  const read = readHeaderDeclarations(isJsonObject(tool) ? tool.inputSchema : undefined);
  return 'invalid' in read ? read.invalid : undefined;
}
