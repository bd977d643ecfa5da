import type { IncomingHttpHeaders } from 'node:http';
import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import { type HeaderDeclaration, readHeaderDeclarations } from '../upstream/parameter-headers.ts';

/**
 * `x-mcp-header` (2026-07-28, Custom Headers from Tool Parameters): arguments that a client repeats in `Mcp-Param-*` headers. Who
 * routes on the header and who acts on the body must see the same, so the two are compared before anything is decided.
 */
const decimal = /^-?\d+(\.\d+)?$/;
const compiled = new WeakMap<JsonObject, HeaderDeclaration[]>();

/** What is wrong with the headers, or undefined. */
export function parameterMismatch(
  definition: JsonObject,
  args: Json,
  headers: IncomingHttpHeaders,
): string | undefined {
  for (const { name, path } of declarationsOf(definition)) {
    const value = valueAt(args, path);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') continue;
    const given = headers[`mcp-param-${name.toLowerCase()}`];
    if (typeof given !== 'string') return `The header Mcp-Param-${name} is missing; the body has ${path.join('.')}.`;
    const decoded = decodeHeaderValue(given);
    if (decoded === undefined) return `The header Mcp-Param-${name} is not valid Base64.`;
    const same =
      typeof value === 'number' ? decimal.test(decoded) && Number(decoded) === value : decoded === String(value);
    if (!same) return `The header Mcp-Param-${name} does not match ${path.join('.')} in the body.`;
  }
  return undefined;
}

/** A tool whose declarations are invalid has none: clients leave it out, and nobody routes on its headers. */
function declarationsOf(definition: JsonObject): HeaderDeclaration[] {
  let declarations = compiled.get(definition);
  if (!declarations) {
    const read = readHeaderDeclarations(definition.inputSchema);
    declarations = 'invalid' in read ? [] : read.declarations;
    compiled.set(definition, declarations);
  }
  return declarations;
}

function valueAt(value: Json, path: string[]): Json | undefined {
  let at: Json | undefined = value;
  for (const key of path) {
    if (!isJsonObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

/** The value behind `=?base64?…?=`, the value itself without the markers, or undefined when the Base64 is not canonical. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!(value.startsWith('=?base64?') && value.endsWith('?=') && value.length >= 11)) return value;
  const encoded = value.slice(9, -2);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return undefined;
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : undefined;
}
