import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isJsonObject, type Json } from '../../platform/index.ts';
import { NAMESPACE } from '../../policy/index.ts';

/** A pattern of `like`. */
interface Like {
  like: readonly ('Wildcard' | { Literal: string })[];
}
export type Mentioned = Json | Like;

/** What policies look at: by path (`context.arguments.amount_cents`) the constants that it is compared with, and the entities that are named. */
export interface Mentions {
  paths: ReadonlyMap<string, readonly Mentioned[]>;
  /** By type: `Environment`, `Agent` … */
  entities: ReadonlyMap<string, readonly string[]>;
}

const known = new WeakMap<PolicyJson, Mentions>();

/** Of each policy they are found once: the same ones are about many pairs of template and tool. */
export function mentionsOf(policies: Iterable<PolicyJson>): Mentions {
  const [paths, entities] = [new Map<string, Map<string, Mentioned>>(), new Map<string, Map<string, string>>()];
  for (const policy of policies) {
    const own = known.get(policy) ?? mentionsOfOne(policy);
    known.set(policy, own);
    for (const [path, values] of own.paths) addTo(paths, path, values);
    for (const [type, names] of own.entities) addTo(entities, type, names);
  }
  return { paths: valuesOf(paths), entities: valuesOf(entities) };
}

function addTo<T>(to: Map<string, Map<string, T>>, key: string, values: readonly T[]): void {
  const all = to.get(key) ?? new Map<string, T>();
  to.set(key, all);
  for (const value of values) all.set(JSON.stringify(value), value);
}

const valuesOf = <T>(of: Map<string, Map<string, T>>): Map<string, T[]> =>
  new Map([...of].map(([key, values]) => [key, [...values.values()]]));

function mentionsOfOne({ principal, action, conditions }: PolicyJson): Mentions {
  const [paths, entities] = [new Map<string, Map<string, Mentioned>>(), new Map<string, Map<string, string>>()];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const each of node) visit(each);
    if (!isJsonObject(node)) return;
    const entity = entityOf(node);
    if (entity) {
      addTo(entities, entity.type, [entity.id]);
      return;
    }
    const path = dotted(node);
    if (path !== undefined) {
      addTo(paths, path, []);
      return;
    }
    for (const operands of Object.values(node)) {
      const sides = Array.isArray(operands)
        ? operands
        : isJsonObject(operands)
          ? [operands.left, operands.right, operands.arg]
          : [];
      const constants = sides.flatMap(constantsOf);
      const like = isJsonObject(operands) && Array.isArray(operands.pattern) ? operands.pattern : undefined;
      if (like) constants.push({ like } as never);
      for (const side of sides) {
        const compared = dotted(side);
        if (compared !== undefined) addTo(paths, compared, constants);
      }
      if (isJsonObject(operands) && 'attr' in operands) {
        const of = dotted(operands.left);
        if (of !== undefined) addTo(paths, [of, ...[operands.attr].flat()].join('.'), []);
      }
      visit(operands);
    }
  };
  visit(principal);
  visit(action);
  for (const { body } of conditions) visit(body);
  return { paths: valuesOf(paths), entities: valuesOf(entities) };
}

function entityOf(node: unknown): { type: string; id: string } | undefined {
  if (!isJsonObject(node)) return undefined;
  const named = isJsonObject(node.__entity) ? node.__entity : node;
  const { type, id } = named;
  if (typeof type !== 'string' || typeof id !== 'string') return undefined;
  return { type: type.slice(NAMESPACE.length + 2), id };
}

/** `context.arguments.a.b`, where an expression is nothing but that. */
function dotted(node: unknown): string | undefined {
  if (!isJsonObject(node)) return undefined;
  if (typeof node.Var === 'string') return node.Var;
  const step = node['.'];
  if (!isJsonObject(step)) return undefined;
  const before = dotted(step.left);
  return before === undefined ? undefined : `${before}.${String(step.attr)}`;
}

/** Numbers beyond 2^53 are bigints: an argument of a call can't be one. */
function constantsOf(node: unknown): Json[] {
  if (!isJsonObject(node)) return [];
  if ('Value' in node) {
    const value: unknown = node.Value;
    if (typeof value === 'bigint') return [Number(value)];
    return typeof value === 'object' ? [] : [value as Json];
  }
  if (Array.isArray(node.Set)) return node.Set.flatMap(constantsOf);
  for (const extension of ['datetime', 'ip', 'decimal'])
    if (Array.isArray(node[extension])) return (node[extension] as unknown[]).flatMap(constantsOf);
  return [];
}
