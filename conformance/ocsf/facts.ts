import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The facts of the OCSF schema (github.com/ocsf/ocsf-schema, Apache-2.0) that events of ours are checked against, as JSON Schema: members, types,
 * numbers and what is required of the classes that records become and of the objects in them. `node conformance/ocsf/facts.ts DIR` makes
 * `facts.json` anew from a checkout.
 */
export const factsFile = join(import.meta.dirname, 'facts.json');

const classes = [
  'api_activity',
  'authentication',
  'authorize_session',
  'entity_management',
  'user_access',
  'account_change',
  'detection_finding',
];
const profiles = ['ai_operation', 'record_integrity'];
/** Others count as any object: none of ours is in one. */
const objects = [
  'actor',
  'ai_agent',
  'ai_model',
  'api',
  'attestation',
  'authorization',
  'evidences',
  'finding_info',
  'fingerprint',
  'managed_entity',
  'metadata',
  'network_endpoint',
  'policy',
  'product',
  'request',
  'resource_details',
  'response',
  'service',
  'session',
  'user',
];

interface Attribute {
  type?: string;
  is_array?: boolean;
  requirement?: string;
  enum?: Record<string, unknown>;
}
interface Definition {
  name: string;
  uid?: number;
  category?: string;
  extends?: string;
  profiles?: string[];
  constraints?: { at_least_one?: string[]; just_one?: string[] };
  attributes: Record<string, Attribute>;
}
interface Dictionary {
  attributes: Record<string, Attribute>;
  types: { attributes: Record<string, { type?: string; regex?: string }> };
}
type Schema = Record<string, unknown>;

export function factsOf(directory: string): Schema {
  const read = <T>(path: string) => JSON.parse(readFileSync(join(directory, path), 'utf8')) as T;
  if (!existsSync(join(directory, 'dictionary.json'))) throw new Error(`${directory} is no checkout of ocsf-schema.`);
  const dictionary = read<Dictionary>('dictionary.json');
  const { version } = read<{ version: string }>('version.json');
  const categories = read<{ attributes: Record<string, { uid: number }> }>('categories.json').attributes;
  const named = (pattern: string) =>
    new Map(
      globSync(pattern, { cwd: directory }).map((path) => {
        const definition = read<Definition>(path);
        return [definition.name, definition];
      }),
    );
  const events = named('events/**/*.json');
  const things = named('objects/*.json');

  function inherited<T>(all: Map<string, Definition>, { name }: Definition, of: (each: Definition) => T): T[] {
    const definition = all.get(name);
    if (!definition) return [];
    const parent = definition.extends === undefined ? undefined : all.get(definition.extends);
    return [...(parent ? inherited(all, parent, of) : []), of(definition)];
  }

  function membersOf(all: Map<string, Definition>, definition: Definition): Record<string, Attribute> {
    const members: Record<string, Attribute> = {};
    for (const attributes of inherited(all, definition, (each) => each.attributes ?? {}))
      for (const [name, attribute] of Object.entries(attributes)) {
        if (name === '$include') continue;
        const numbers = { ...members[name]?.enum, ...attribute.enum };
        members[name] = { ...members[name], ...attribute, ...(Object.keys(numbers).length > 0 && { enum: numbers }) };
      }
    return members;
  }

  function schemaOf(name: string, attribute: Attribute): Schema {
    const known = dictionary.attributes[name];
    const type = attribute.type ?? known?.type ?? 'string_t';
    const numbers = Object.keys({ ...known?.enum, ...attribute.enum });
    const isNumber = numbers.length > 0 && basic(type) === 'integer_t';
    const one = isNumber ? { enum: numbers.map(Number).sort((a, b) => a - b) } : typeSchema(type);
    return (attribute.is_array ?? known?.is_array) ? { type: 'array', items: one } : one;
  }

  const basic = (type: string): string => dictionary.types.attributes[type]?.type ?? type;

  function typeSchema(type: string): Schema {
    const own = dictionary.types.attributes[type];
    if (!own) return objects.includes(type) ? { $ref: `#/$defs/${type}` } : { type: 'object' };
    const base = basic(type);
    if (base === 'integer_t' || base === 'long_t') return { type: 'integer' };
    if (base === 'boolean_t') return { type: 'boolean' };
    if (base === 'float_t') return { type: 'number' };
    if (base === 'json_t') return {};
    return { type: 'string', ...(type === 'email_t' && own.regex && { pattern: own.regex }) };
  }

  function closed(members: Record<string, Attribute>, { constraints }: Definition): Schema {
    const { at_least_one: some } = constraints ?? {};
    return {
      type: 'object',
      additionalProperties: false,
      required: Object.keys(members)
        .filter((name) => members[name]?.requirement === 'required')
        .sort(),
      ...(some && { anyOf: some.map((name) => ({ required: [name] })) }),
      properties: Object.fromEntries(
        Object.entries(members)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, attribute]) => [name, schemaOf(name, attribute)]),
      ),
    };
  }

  const find = (all: Map<string, Definition>, name: string): Definition => {
    const found = all.get(name);
    if (!found) throw new Error(`The schema has no ${name}.`);
    return found;
  };

  const facts = classes.map((name) => {
    const definition = find(events, name);
    const category = inherited(events, definition, (each) => each.category).findLast((each) => each !== undefined);
    const categoryUid = categories[category ?? '']?.uid ?? 0;
    const classUid = categoryUid * 1_000 + (definition.uid ?? 0);
    const applied = new Set(inherited(events, definition, (each) => each.profiles ?? []).flat());
    const members = membersOf(events, definition);
    for (const profile of profiles)
      if (profile === 'record_integrity' || applied.has(profile))
        Object.assign(members, read<Definition>(`profiles/${profile}.json`).attributes);
    const schema = closed(members, definition) as { properties: Record<string, Schema> };
    const activities = (schema.properties.activity_id as { enum: number[] }).enum;
    schema.properties.category_uid = { const: categoryUid };
    schema.properties.class_uid = { const: classUid };
    schema.properties.type_uid = { enum: activities.map((each) => classUid * 100 + each) };
    return [String(classUid), schema] as const;
  });
  return {
    $comment: `Facts of the OCSF schema ${version} (github.com/ocsf/ocsf-schema, Apache-2.0), made by conformance/ocsf/facts.ts.`,
    version,
    classes: Object.fromEntries(facts),
    $defs: Object.fromEntries(
      objects.map((name) => [name, closed(membersOf(things, find(things, name)), find(things, name))]),
    ),
  };
}

if (process.argv[1] === import.meta.filename) {
  const [, , directory] = process.argv;
  if (directory === undefined) {
    console.error('usage: node conformance/ocsf/facts.ts DIRECTORY-OF-OCSF-SCHEMA');
    process.exit(64);
  }
  writeFileSync(factsFile, `${JSON.stringify(factsOf(directory), null, 2)}\n`);
}
