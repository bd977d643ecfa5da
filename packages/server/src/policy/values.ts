import { isJsonObject, type Json } from '../platform/index.ts';
import { type CedarRecord, CedarSet, type Value } from './cedar/index.ts';
import type { ArgumentsType, ArgumentType } from './schema.ts';

/**
 * The arguments as policies see them: exactly those that the schema types. A value that does not fit its type is a problem to
 * refuse, never something to leave out, because a missing argument may be what a forbid looks for.
 */
export function toContext(value: Json, type: ArgumentsType): { context: CedarRecord } | { problem: string } {
  try {
    const arguments_ = toRecord(isJsonObject(value) ? value : {}, type, 'arguments');
    return { context: new Map([['arguments', arguments_]]) };
  } catch (error) {
    if (error instanceof Misfit) return { problem: error.message };
    throw error;
  }
}

class Misfit extends Error {}

function toRecord(value: { [key: string]: Json }, type: ArgumentsType, path: string): CedarRecord {
  const out = new Map<string, Value>();
  for (const key in type) {
    const attribute = type[key] as ArgumentsType[string];
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    if (member !== undefined) out.set(key, toValue(member, attribute.type, path, key));
    else if (attribute.required) throw new Misfit(`${path}.${key} is missing`);
  }
  return out;
}

function toValue(value: Json, type: ArgumentType, path: string, key: string | number): Value {
  switch (type.kind) {
    case 'String':
      if (typeof value === 'string') return value;
      break;
    case 'Boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'Long':
      // + 0: JSON has a -0, which Cedar has not.
      if (Number.isSafeInteger(value)) return (value as number) + 0;
      break;
    case 'Set':
      if (Array.isArray(value)) {
        const here = join(path, key);
        return new CedarSet(value.map((element, at) => toValue(element, type.element, here, at)));
      }
      break;
    case 'Record':
      if (isJsonObject(value)) return toRecord(value, type.attributes, join(path, key));
      break;
  }
  throw new Misfit(`${join(path, key)} is not a ${words[type.kind]}`);
}

const join = (path: string, key: string | number) => (typeof key === 'number' ? `${path}[${key}]` : `${path}.${key}`);

const words = {
  String: 'string',
  Boolean: 'boolean',
  Long: 'whole number that can be written exactly',
  Set: 'list',
  Record: 'record',
};
