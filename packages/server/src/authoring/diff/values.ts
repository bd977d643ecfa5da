import { isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { ArgumentsType, ArgumentType } from '../../policy/index.ts';
import { diffLimits } from './limits.ts';
import type { Mentioned } from './mentions.ts';
import { textOfPattern } from './pattern-text.ts';

/** What no policy is likely to name. */
export const OTHER = 'something-else';

/** Stands for an argument that is left out. */
export const ABSENT: unique symbol = Symbol('absent');
export type Value = Json | typeof ABSENT;

/** Values on either side of all that something of this type is compared with. */
export function boundaryValues(type: ArgumentType, mentioned: readonly Mentioned[], required: boolean): Value[] {
  const values: Value[] = [];
  const texts = mentioned.flatMap(textsOf);
  const numbers = mentioned.filter((each): each is number => typeof each === 'number');
  if (type.kind === 'Long')
    for (const each of [...numbers].sort((a, b) => a - b)) values.push(each - 1, each, each + 1);
  if (type.kind === 'Boolean') values.push(true, false);
  if (type.kind === 'String') values.push(...texts, OTHER);
  if (type.kind === 'Set' && type.element.kind === 'String')
    values.push([], ...texts.map((each) => [each]), [OTHER], ...texts.map((each) => [each, OTHER]));
  if (type.kind === 'Set' && type.element.kind === 'Long') values.push([], ...numbers.map((each) => [each]));
  if (!required) values.push(ABSENT);
  return distinct(values).slice(0, diffLimits.values);
}

/** Of a pattern one that fits it, with and without something where its stars are. */
export function textsOf(mentioned: Mentioned): string[] {
  if (typeof mentioned === 'string') return [mentioned];
  if (!isJsonObject(mentioned) || !Array.isArray(mentioned.like)) return [];
  const put = (star: string) =>
    (mentioned.like as ('Wildcard' | { Literal: string })[])
      .map((part) => (part === 'Wildcard' ? star : part.Literal))
      .join('');
  return distinct([put(''), put('x')]);
}

export function distinct<T>(values: readonly T[]): T[] {
  const seen = new Set<unknown>();
  return values.filter((value) => {
    const key = typeof value === 'symbol' ? value : JSON.stringify(value);
    return !seen.has(key) && seen.add(key);
  });
}

/** Arguments that a tool takes, as plain as its schema permits; what fits no schema is refused on both sides alike. */
export function plainArguments(inputSchema: unknown, types: ArgumentsType): JsonObject {
  const schema = isJsonObject(inputSchema) ? inputSchema : {};
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const args: JsonObject = {};
  for (const [name, property] of Object.entries(properties))
    if (required.has(name) || Object.hasOwn(types, name)) define(args, name, plainValue(property, 0));
  return args;
}

const MAX_DEPTH = 8;

function plainValue(schema: unknown, depth: number): Json {
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return null;
  if ('const' in schema) return schema.const as Json;
  if ('default' in schema) return schema.default as Json;
  if (Array.isArray(schema.enum)) return (schema.enum[0] ?? null) as Json;
  if (Array.isArray(schema.examples) && schema.examples.length > 0) return schema.examples[0] as Json;
  for (const joined of ['anyOf', 'oneOf', 'allOf'])
    if (Array.isArray(schema[joined])) return plainValue((schema[joined] as Json[])[0], depth + 1);
  const [type] = [schema.type].flat();
  if (type === 'integer' || type === 'number') return plainNumber(schema);
  if (type === 'boolean') return false;
  if (type === 'array') {
    const least = typeof schema.minItems === 'number' ? Math.min(schema.minItems, diffLimits.values) : 0;
    return Array.from({ length: Math.max(1, least) }, () => plainValue(schema.items, depth + 1));
  }
  if (type === 'object' || isJsonObject(schema.properties)) {
    const required = Array.isArray(schema.required) ? schema.required : [];
    const object: JsonObject = {};
    for (const [name, property] of Object.entries(isJsonObject(schema.properties) ? schema.properties : {}))
      if (required.includes(name)) define(object, name, plainValue(property, depth + 1));
    return object;
  }
  return type === 'string' ? plainText(schema) : null;
}

function plainNumber({ minimum, exclusiveMinimum, maximum }: JsonObject): number {
  const least = typeof minimum === 'number' ? minimum : typeof exclusiveMinimum === 'number' ? exclusiveMinimum + 1 : 1;
  return typeof maximum === 'number' && maximum < least ? maximum : Math.max(least, 1);
}

const formats: Record<string, string> = {
  email: 'somebody@example.test',
  uri: 'https://example.test/',
  date: '2026-01-15',
  'date-time': '2026-01-15T12:00:00Z',
  uuid: '00000000-0000-4000-8000-000000000000',
  ipv4: '203.0.113.7',
};

function plainText({ format, pattern, minLength, maxLength }: JsonObject): string {
  const known = typeof format === 'string' && Object.hasOwn(formats, format) ? formats[format] : undefined;
  const text = known ?? (typeof pattern === 'string' ? textOfPattern(pattern) : undefined) ?? 'text';
  const least = typeof minLength === 'number' ? Math.min(minLength, 1_000) : 0;
  return text.padEnd(least, 'x').slice(0, typeof maxLength === 'number' ? Math.max(0, maxLength) : undefined);
}

/** `__proto__` is a name like any other. */
export function define(object: JsonObject, name: string, value: Json): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}
