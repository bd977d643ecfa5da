import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type EntityJson,
  policySetTextToParts,
  type SchemaJson,
  schemaToJsonWithResolvedTypes,
  type Type,
  type TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';
import {
  CedarSet,
  compileSet,
  type Entities,
  type EntityData,
  parsePolicy,
  readUid,
  readValue,
  type Value,
} from '../index.ts';
import { entityStore, type Verdict, verdict } from './compare.ts';

/** One file of the published integration tests (cedar-policy/cedar-integration-tests): policies, entities, a schema, and answers. */
interface CorpusFile {
  policies: string;
  entities: string;
  schema: string;
  requests: (Verdict & {
    description: string;
    principal: TypeAndId;
    action: TypeAndId;
    resource: TypeAndId;
    context: unknown;
  })[];
}

export interface CorpusResult {
  files: number;
  requests: number;
  differences: { file: string; request: string; published: Verdict; compiled: Verdict }[];
}

/**
 * Asks the compiled engine all that the published tests ask, or every `every`th file of them. `directory` holds `tests`, `sample-data` and
 * `corpus-tests.tar.gz`. `progress` hears the number of files done.
 */
export function runCorpus(
  directory: string,
  { every = 1, progress }: { every?: number; progress?: (done: number, of: number) => void } = {},
): CorpusResult {
  const unpacked = mkdtempSync(join(tmpdir(), 'cedar-corpus-'));
  try {
    execFileSync('tar', ['xzf', join(directory, 'corpus-tests.tar.gz'), '-C', unpacked]);
    const files = [
      ...globSync('tests/**/*.json', { cwd: directory }),
      ...globSync('corpus-tests/*.json', { cwd: unpacked })
        .filter((name) => !name.endsWith('.entities.json'))
        .sort()
        .filter((_, at) => at % every === 0),
    ];
    const read = (name: string) => {
      const own = join(directory, name);
      return readFileSync(existsSync(own) ? own : join(unpacked, name), 'utf8');
    };
    const result: CorpusResult = { files: 0, requests: 0, differences: [] };
    for (const file of files) {
      const { policies, entities, schema, requests } = parseExact(read(file)) as CorpusFile;
      const set = compileSet(parseSet(read(policies)));
      const store = storeOf(parseExact(read(entities)) as EntityJson[], read(schema));
      for (const { description, principal, action, resource, context, decision, reason, errors } of requests) {
        const compiled = verdict(
          set.authorize({
            principal: readUid(principal),
            action: readUid(action),
            resource: readUid(resource),
            context: readValue(context) as ReadonlyMap<string, Value>,
            entities: store,
          }),
        );
        const published = { decision, reason: reason.toSorted(), errors: errors.toSorted() };
        result.requests++;
        if (JSON.stringify(compiled) !== JSON.stringify(published))
          result.differences.push({ file, request: description, published, compiled });
      }
      result.files++;
      progress?.(result.files, files.length);
    }
    return result;
  } finally {
    rmSync(unpacked, { recursive: true });
  }
}

function parseSet(text: string) {
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') throw new Error(parts.errors[0]?.message);
  return parts.policies.map((policy, at) => {
    const parsed = parsePolicy(policy);
    if ('problem' in parsed) throw new Error(parsed.problem);
    return { id: `policy${at}`, json: parsed.json };
  });
}

/** Whole numbers that JavaScript would round become bigints. */
function parseExact(text: string): unknown {
  const exact = (_: string, value: unknown, context: { source: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) ? BigInt(context.source) : value;
  return JSON.parse(text, exact as Parameters<typeof JSON.parse>[1]);
}

/** Entities are read by their schema, which also says in which groups actions are. */
function storeOf(entities: readonly EntityJson[], schemaText: string): Entities {
  const answer = schemaToJsonWithResolvedTypes(schemaText);
  if (answer.type === 'failure') throw new Error(answer.errors[0]?.message);
  const schema = answer.json;
  const store = new Map<string, EntityData>();
  for (const entity of entities) {
    const shape = shapeOf(schema, readUid(entity.uid).type);
    const attrs = Object.fromEntries(
      Object.entries(entity.attrs).map(([name, json]) => [name, readTyped(json, shape?.[name])]),
    );
    // Already values: only the hierarchy is still to be read.
    for (const [key, data] of entityStore([{ ...entity, attrs: {} }]))
      store.set(key, { ...data, attrs: new Map(Object.entries(attrs)) });
  }
  const all = entityStore([...entities.map((each) => ({ ...each, attrs: {} })), ...actionsOf(schema)]);
  for (const [key, data] of all) {
    const known = store.get(key);
    store.set(key, known ? { ...known, ancestors: data.ancestors } : data);
  }
  return store;
}

type Shape = Record<string, Type<string>>;

function shapeOf(schema: SchemaJson<string>, type: string): Shape | undefined {
  const at = type.lastIndexOf('::');
  const [namespace, name] = at < 0 ? ['', type] : [type.slice(0, at), type.slice(at + 2)];
  const declared = schema[namespace]?.entityTypes[name];
  const shape = declared && 'shape' in declared ? declared.shape : undefined;
  return shape && 'attributes' in shape ? (shape.attributes as Shape) : undefined;
}

function readTyped(json: unknown, type: Type<string> | undefined): Value {
  const kind = type && 'type' in type ? type.type : undefined;
  if (Array.isArray(json)) {
    const element = type && 'element' in type ? type.element : undefined;
    return new CedarSet(json.map((each) => readTyped(each, element)));
  }
  const isObject = typeof json === 'object' && json !== null;
  if (kind === 'Entity' && isObject && !('__entity' in json)) return readUid(json as TypeAndId);
  if (kind === 'Extension' && type && 'name' in type && typeof json === 'string')
    return readValue({ __extn: { fn: type.name === 'ipaddr' ? 'ip' : type.name, arg: json } });
  if (kind === 'Record' && isObject && type && 'attributes' in type) {
    const attributes = type.attributes as Shape;
    return new Map(Object.entries(json).map(([name, member]) => [name, readTyped(member, attributes[name])]));
  }
  return readValue(json);
}

function actionsOf(schema: SchemaJson<string>): EntityJson[] {
  return Object.entries(schema).flatMap(([namespace, { actions }]) => {
    const prefix = namespace === '' ? '' : `${namespace}::`;
    return Object.entries(actions).map(([id, { memberOf }]) => ({
      uid: { type: `${prefix}Action`, id },
      attrs: {},
      parents: (memberOf ?? []).map((group) => ({ type: group.type ?? `${prefix}Action`, id: group.id })),
    }));
  });
}
