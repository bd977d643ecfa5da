import { isRecord, type Json, type Message } from './message.ts';

/** Headers that repeat the body over HTTP (2026-07-28); over stdio there is only the body, so they are made here. */
const nameSources: Record<string, string> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/** Which arguments of which tool are repeated in `Mcp-Param-*`, as the lists that passed by said. */
export type ToolParameters = Map<string, { header: string; path: string[] }[]>;

export function modernHeaders({ method, params, version }: Message, tools: ToolParameters): Record<string, string> {
  const headers: Record<string, string> = { 'mcp-protocol-version': version ?? '', 'mcp-method': encode(method) };
  const source = Object.hasOwn(nameSources, method) ? nameSources[method] : undefined;
  const name = source === undefined ? undefined : params[source];
  if (typeof name === 'string') headers['mcp-name'] = encode(name);
  if (method !== 'tools/call' || typeof name !== 'string') return headers;
  for (const { header, path } of tools.get(name) ?? []) {
    const value = path.reduce<unknown>(
      (at, key) => (isRecord(at) && Object.hasOwn(at, key) ? at[key] : undefined),
      params.arguments,
    );
    if (
      typeof value === 'string' ||
      typeof value === 'boolean' ||
      (typeof value === 'number' && Number.isFinite(value))
    )
      headers[`mcp-param-${header}`] = encode(String(value));
  }
  return headers;
}

/** Remembers the `x-mcp-header` declarations of a `tools/list` result. */
export function rememberTools(result: unknown, tools: ToolParameters): void {
  if (!isRecord(result) || !Array.isArray(result.tools)) return;
  for (const tool of result.tools as unknown[]) {
    if (!isRecord(tool) || typeof tool.name !== 'string') continue;
    const found: { header: string; path: string[] }[] = [];
    collect(tool.inputSchema, [], found);
    tools.set(tool.name, found);
  }
}

const MAX_DEPTH = 32;

function collect(schema: unknown, path: string[], found: { header: string; path: string[] }[]): void {
  if (!isRecord(schema) || path.length > MAX_DEPTH) return;
  const header = schema['x-mcp-header'];
  if (typeof header === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(header)) found.push({ header, path });
  if (!isRecord(schema.properties)) return;
  for (const [name, child] of Object.entries(schema.properties as Json)) collect(child, [...path, name], found);
}

const plain = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/;

function encode(value: string): string {
  if (plain.test(value) && !(value.startsWith('=?base64?') && value.endsWith('?='))) return value;
  return `=?base64?${Buffer.from(value).toString('base64')}?=`;
}
