import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import type { Action } from '../types.ts';

/**
 * The arguments with the tool's own limit lowered to `limit`; undefined when the tool takes none, or asks for no more already. Never
 * raised. Done before the call is decided on, so that what is approved and recorded is what is sent.
 */
function lowerLimit(
  { labels, definition }: RegisteredTool,
  given: Json,
  limit: number | null | undefined,
): JsonObject | undefined {
  const name = labels.limitArgument;
  if (name === null || limit == null || !isJsonObject(given)) return undefined;
  const kind = kindOf(definition, name);
  if (kind === undefined) return undefined;
  const asked = Object.hasOwn(given, name) ? given[name] : undefined;
  if (asked !== undefined && asked !== null) {
    const number = typeof asked === 'string' && /^\d{1,15}$/.test(asked) ? Number(asked) : asked;
    // What cannot be read as a number is the schema's to refuse, and the hold's to catch.
    if (typeof number !== 'number' || number <= limit) return undefined;
  }
  return { ...given, [name]: kind === 'string' ? String(limit) : limit };
}

function kindOf(definition: JsonObject | null, name: string): 'number' | 'string' | undefined {
  const schema = isJsonObject(definition?.inputSchema) ? definition.inputSchema : {};
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (!isJsonObject(property)) return undefined;
  const types = Array.isArray(property.type) ? property.type : [property.type];
  if (types.includes('integer') || types.includes('number')) return 'number';
  return types.includes('string') ? 'string' : undefined;
}

/** The same action where nothing is to be lowered. */
export function withLimit(action: Action, tool: RegisteredTool, limit: number | null | undefined): Action {
  // What is done elsewhere is sent from there, with the arguments that were asked about.
  const isSentHere = action.operation === 'tools/call' && !action.gateway;
  const lowered = isSentHere ? lowerLimit(tool, action.arguments, limit) : undefined;
  return lowered ? { ...action, arguments: lowered } : action;
}

export function limitRemark({ arguments: args }: Action, { labels }: RegisteredTool): string {
  const name = labels.limitArgument ?? '';
  return `asked the tool for no more than ${name} = ${String((args as JsonObject)[name])}`;
}
