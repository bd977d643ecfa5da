import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';

/**
 * Mirroring of body fields into HTTP headers (2026-07-28 Streamable HTTP, "Request Metadata"; SEP-2243). The headers are always
 * made from the body that goes out; what an agent's client sent as headers is never passed on.
 */
export type HeaderDeclaration = { path: string[]; name: string };

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const primitiveTypes = new Set(['string', 'integer', 'boolean']);

/** The `x-mcp-header` declarations of an input schema, or why they make the tool's definition invalid. */
export function readHeaderDeclarations(
  inputSchema: Json | undefined,
): { declarations: HeaderDeclaration[] } | { invalid: string } {
  const declarations: HeaderDeclaration[] = [];
  const names = new Set<string>();
  const visit = (schema: Json, path: string[]): string | undefined => {
    if (!isJsonObject(schema)) return undefined;
    const name = schema['x-mcp-header'];
    if (name !== undefined) {
      const where = path.join('.');
      if (path.length === 0) return 'x-mcp-header stands at the root';
      if (typeof name !== 'string' || !token.test(name)) return `x-mcp-header of ${where} is no header name`;
      if (!primitiveTypes.has(String(schema.type)))
        return `x-mcp-header of ${where} is on a value that is not primitive`;
      if (names.has(name.toLowerCase())) return `x-mcp-header ${name} stands twice`;
      names.add(name.toLowerCase());
      declarations.push({ path, name });
    }
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties' && isJsonObject(value)) {
        for (const [property, child] of Object.entries(value)) {
          const invalid = visit(child, [...path, property]);
          if (invalid !== undefined) return invalid;
        }
      } else if (subschemaKeywords.has(key) && mentionsHeader(value))
        return `x-mcp-header under ${[...path, key].join('.')} cannot be reached by properties alone`;
    }
    return undefined;
  };
  const invalid = inputSchema === undefined ? undefined : visit(inputSchema, []);
  return invalid === undefined ? { declarations } : { invalid };
}

/** Keywords that hold schemas but are no chain of `properties`. Values such as `default` or `const` may hold any key. */
const subschemaKeywords = new Set([
  ...['items', 'prefixItems', 'contains', 'additionalProperties', 'unevaluatedProperties', 'unevaluatedItems'],
  ...['propertyNames', 'patternProperties', 'dependentSchemas', 'oneOf', 'anyOf', 'allOf', 'not', 'if', 'then', 'else'],
  ...['$defs', 'definitions'],
]);

function mentionsHeader(value: Json): boolean {
  if (Array.isArray(value)) return value.some(mentionsHeader);
  if (!isJsonObject(value)) return false;
  return 'x-mcp-header' in value || Object.values(value).some(mentionsHeader);
}

/** `Mcp-Param-*` headers of one call; empty for a tool that declares none or whose declarations are invalid. */
export function parameterHeaders(inputSchema: Json | undefined, args: JsonObject): Record<string, string> {
  const read = readHeaderDeclarations(inputSchema);
  const headers: Record<string, string> = {};
  if ('invalid' in read) return headers;
  for (const { path, name } of read.declarations) {
    let value: Json | undefined = args;
    for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    const text = primitiveText(value);
    if (text !== undefined) headers[`Mcp-Param-${name}`] = encodeHeaderValue(text);
  }
  return headers;
}

function primitiveText(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || (Number.isInteger(value) && !Number.isSafeInteger(value))) return undefined;
  return String(value);
}

const plainHeaderValue = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/;

/** As it is if it is plain visible ASCII that no field parsing changes, else in the Base64 form of the specification. */
export function encodeHeaderValue(value: string): string {
  const ambiguous = value.startsWith('=?base64?') && value.endsWith('?=');
  if (plainHeaderValue.test(value) && !ambiguous) return value;
  return `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/** Where `Mcp-Name` comes from; the tasks are those of the extension io.modelcontextprotocol/tasks (SEP-2663). */
const nameSources = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** `Mcp-Method` and `Mcp-Name` of a message. */
export function standardHeaders(method: string, params: JsonObject): Record<string, string> {
  const headers: Record<string, string> = { 'mcp-method': encodeHeaderValue(method) };
  const source = nameSources.get(method);
  const value = source === undefined ? undefined : params[source];
  if (typeof value === 'string') headers['mcp-name'] = encodeHeaderValue(value);
  return headers;
}
