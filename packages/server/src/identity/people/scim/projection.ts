import { scimLimits as limits } from './limits.ts';
import { type Resource, scimError } from './resources.ts';

type Projection = (resource: Resource) => Resource;

/** `returned: always` (RFC 7643 §2.2): what no request leaves out. */
const always = new Set(['id', 'schemas']);

interface AttributePath {
  /** Of an extension, as the resource has it; undefined for the core schema. */
  extension?: string;
  /** Undefined: the extension as a whole. */
  name?: string;
  sub?: string;
}

/**
 * Which attributes of a resource an answer has (RFC 7644 §3.9): `attributes` alone, or all but `excludedAttributes`. Names are compared
 * without case (§3.10); one that a resource does not have adds and takes away nothing. Undefined where neither is asked for.
 */
export function projectionAsked(query: URLSearchParams): Projection | undefined {
  const wanted = pathsOf(query, 'attributes');
  const unwanted = pathsOf(query, 'excludedAttributes');
  if (wanted && unwanted)
    throw scimError(400, 'invalidValue', 'Ask with attributes or with excludedAttributes: one excludes the other.');
  if (wanted) return (resource) => projected(resource, wanted, true);
  if (unwanted) return (resource) => projected(resource, unwanted, false);
  return undefined;
}

function pathsOf(query: URLSearchParams, parameter: string): AttributePath[] | undefined {
  const given = query.getAll(parameter);
  if (given.length === 0) return undefined;
  const names = given
    .join(',')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length > limits.projectedAttributes)
    throw scimError(400, 'tooMany', `${parameter} has at most ${limits.projectedAttributes} names.`);
  return names.map((name) => pathOf(name, parameter));
}

/** `name`, `name.sub`, either behind the name of its schema, or an extension's name by itself. */
function pathOf(given: string, parameter: string): AttributePath {
  const [, schema, name, sub] =
    /^(?:(urn:[\w.:-]+?:(?:\d+(?:\.\d+)*):\w+)(?::|$))?([a-z$][\w$-]*)?(?:\.([a-z$][\w$-]*))?$/i.exec(given) ?? [];
  if (schema === undefined && name === undefined)
    throw scimError(
      400,
      'invalidValue',
      `"${given.slice(0, 100)}" in ${parameter} is no name of an attribute, like userName or name.givenName.`,
    );
  const isExtension = schema !== undefined && !/^urn:ietf:params:scim:schemas:core:/i.test(schema);
  return {
    ...(isExtension && { extension: schema.toLowerCase() }),
    ...(name !== undefined && { name: name.toLowerCase() }),
    ...(sub !== undefined && { sub: sub.toLowerCase() }),
  };
}

function projected(resource: Resource, paths: AttributePath[], keeps: boolean): Resource {
  const core = paths.filter(({ extension }) => extension === undefined);
  return Object.fromEntries(
    Object.entries(resource).flatMap(([name, value]): [string, unknown][] => {
      if (always.has(name)) return [[name, value]];
      if (!name.includes(':')) return member(name, value, core, keeps);
      const own = paths.filter(({ extension }) => extension === name.toLowerCase());
      if (own.some((path) => path.name === undefined)) return keeps ? [[name, value]] : [];
      const members = Object.entries(value as object).flatMap(([key, each]) => member(key, each, own, keeps));
      return members.length > 0 ? [[name, Object.fromEntries(members)]] : [];
    }),
  );
}

function member(name: string, value: unknown, paths: AttributePath[], keeps: boolean): [string, unknown][] {
  const own = paths.filter((path) => path.name === name.toLowerCase());
  if (own.some(({ sub }) => sub === undefined)) return keeps ? [[name, value]] : [];
  if (own.length === 0) return keeps ? [] : [[name, value]];
  const subs = new Set(own.map(({ sub }) => sub));
  const part = (each: unknown) =>
    typeof each === 'object' && each !== null
      ? Object.fromEntries(Object.entries(each).filter(([key]) => subs.has(key.toLowerCase()) === keeps))
      : each;
  return [[name, Array.isArray(value) ? value.map(part) : part(value)]];
}
