import type { CedarValueJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isJsonObject, type Json } from '../platform/index.ts';
import type { ArgumentsType, ArgumentType } from './schema.ts';

/**
 * The arguments as policies see them: exactly those that the schema types. A value that does not fit its type is a problem to
 * refuse, never something to leave out, because a missing argument may be what a forbid looks for.
 */
export function toContext(
  value: Json,
  type: ArgumentsType,
): { context: Record<string, CedarValueJson> } | { problem: string } {
  try {
    return { context: toRecord(isJsonObject(value) ? value : {}, type, 'arguments') };
  } catch (error) {
    if (error instanceof Misfit) return { problem: error.message };
    throw error;
  }
}

class Misfit extends Error {}

function toRecord(value: { [key: string]: Json }, type: ArgumentsType, path: string): Record<string, CedarValueJson> {
  const out: Record<string, CedarValueJson> = {};
  for (const [key, attribute] of Object.entries(type)) {
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    if (member !== undefined) out[key] = toValue(member, attribute.type, `${path}.${key}`);
    else if (attribute.required) throw new Misfit(`${path}.${key} is missing`);
  }
  return out;
}

function toValue(value: Json, type: ArgumentType, path: string): CedarValueJson {
  switch (type.kind) {
    case 'String':
      if (typeof value === 'string') return value;
      break;
    case 'Boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'Long':
      if (Number.isSafeInteger(value)) return value as number;
      break;
    case 'Set':
      if (Array.isArray(value)) return value.map((element, at) => toValue(element, type.element, `${path}[${at}]`));
      break;
    case 'Record':
      if (isJsonObject(value)) return toRecord(value, type.attributes, path);
      break;
  }
  throw new Misfit(`${path} is not a ${words[type.kind]}`);
}

const words = {
  String: 'string',
  Boolean: 'boolean',
  Long: 'whole number that can be written exactly',
  Set: 'list',
  Record: 'record',
};
