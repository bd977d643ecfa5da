import { isJsonObject, type Json, type JsonObject } from '../platform/index.ts';

/** Keywords whose value is a schema, a list of schemas, or a map of schemas (JSON Schema draft 6 to 2020-12). */
const single = [
  'additionalItems',
  'additionalProperties',
  'contains',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
];
const lists = ['allOf', 'anyOf', 'items', 'oneOf', 'prefixItems'];
const maps = ['$defs', 'definitions', 'dependencies', 'dependentSchemas', 'patternProperties', 'properties'];

/** The schema with one more keyword in each of its subschemas. */
export function counted(schema: JsonObject, keyword: string): JsonObject {
  const inner = (value: Json) => (isJsonObject(value) ? counted(value, keyword) : value);
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (maps.includes(key) && isJsonObject(value))
      out[key] = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, inner(member)]));
    else if (lists.includes(key) && Array.isArray(value)) out[key] = value.map(inner);
    else if (single.includes(key)) out[key] = inner(value);
    else out[key] = value;
  }
  return { ...out, [keyword]: true };
}

/** An argument that neither the schema nor anything that it is composed of names, unless it leaves open what else there may be. */
export function undeclaredArgument(schema: JsonObject, args: JsonObject): string | undefined {
  const declared = new Set<string>();
  if (!collect(schema, schema, declared, new Set())) return undefined;
  return Object.keys(args).find((key) => !declared.has(key));
}

const openings = ['additionalProperties', 'unevaluatedProperties', 'patternProperties', '$dynamicRef', '$recursiveRef'];

/** False when the schema says by itself what else there may be: then that decides. */
function collect(root: JsonObject, schema: Json | undefined, declared: Set<string>, seen: Set<Json>): boolean {
  if (!isJsonObject(schema) || seen.has(schema)) return true;
  seen.add(schema);
  if (openings.some((keyword) => keyword in schema && (schema === root || schema[keyword] !== false))) return false;
  if (isJsonObject(schema.properties)) for (const name of Object.keys(schema.properties)) declared.add(name);
  const parts: (Json | undefined)[] = [schema.if, schema.then, schema.else];
  for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
    const list = schema[keyword];
    if (Array.isArray(list)) parts.push(...list);
  }
  for (const keyword of ['dependentSchemas', 'dependencies']) {
    const map = schema[keyword];
    if (isJsonObject(map)) parts.push(...Object.values(map));
  }
  if (typeof schema.$ref === 'string') {
    const target = resolve(root, schema.$ref);
    if (target === undefined) return false;
    parts.push(target);
  }
  return parts.every((part) => collect(root, part, declared, seen));
}

/** A reference within the schema, as a JSON pointer (RFC 6901). */
function resolve(root: JsonObject, reference: string): Json | undefined {
  if (!reference.startsWith('#')) return undefined;
  let at: Json | undefined = root;
  for (const token of reference.slice(1).split('/').slice(1)) {
    const key = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) at = at[Number(key)];
    else at = isJsonObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return reference === '#' || reference.startsWith('#/') ? at : undefined;
}
