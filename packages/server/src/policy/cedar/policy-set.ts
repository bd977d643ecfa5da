import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { compileTest, type Environment, isIn, readUid, type Test } from './expression.ts';
import { EntityUid, EvaluationError } from './values.ts';

export interface Answer {
  decision: 'allow' | 'deny';
  /** Ids of the policies that the decision rests on, in the order of the set: the forbids if one applies, else the permits. */
  reason: string[];
  /** Policies that could not be evaluated, which neither permit nor forbid. */
  errors: { policyId: string; message: string }[];
}

/** Policies compiled and indexed by their scopes: what names something else costs nothing at a request. */
export interface CompiledSet {
  authorize(environment: Environment): Answer;
  /**
   * The part of the set that can apply to any principal of this type with these ancestors, this action and this resource. It decides
   * as the whole set does, for those, and need not look for policies first.
   */
  slice(environment: Environment): Slice;
}

export interface Slice {
  /** Ids of all that could apply, whatever their conditions. */
  policies: readonly string[];
  authorize(environment: Environment): Answer;
}

interface CompiledPolicy {
  id: string;
  position: number;
  /** It stands in the index under more than one action, and so may be found more than once. */
  isRepeated: boolean;
  /** The type of the principal that the scope names by itself or as a group, if it does. */
  named: string | undefined;
  effect: PolicyJson['effect'];
  scope: Test;
  /** All conditions as one; undefined: none. */
  condition: Test | undefined;
}

/**
 * Throws `TypeError` or `RangeError` for JSON that is no policy, or is nested too deep. Whole numbers beyond 2^53 must be bigints in it.
 * Semantics: Cedar language reference, "Authorization".
 */
export function compileSet(policies: Iterable<{ id: string; json: PolicyJson }>): CompiledSet {
  const index: Index = new Map();
  const individual: CompiledPolicy[] = [];
  let position = 0;
  for (const { id, json } of policies) {
    const policy = compilePolicy(id, position++, json);
    if (policy.named !== undefined) individual.push(policy);
    for (const actions of below(index, keysOfScope(json.resource)))
      for (const principals of below(actions, keysOfScope(json.action)))
        for (const key of keysOfScope(json.principal)) {
          const list = principals.get(key);
          if (list) list.push(policy);
          else principals.set(key, [policy]);
        }
  }
  return {
    authorize: (environment) => answer(find(index, environment), environment, true),
    slice(environment) {
      const { principal, entities } = environment;
      const anybody = new EntityUid(principal.type, '');
      // Whoever is asked about later may be one that a policy names: those policies keep their scope to be looked at.
      const others = find(index, {
        ...environment,
        principal: anybody,
        entities: { get: (key) => entities.get(key === anybody.key ? principal.key : key) },
      }).filter(({ named }) => named !== principal.type);
      const inScope = others.filter(({ scope }) => scope(environment));
      const named = individual.filter((policy) => policy.named === principal.type);
      const all = [...inScope, ...named].sort((a, b) => a.position - b.position);
      return {
        policies: all.map(({ id }) => id),
        authorize: (asked) => answer(all, asked, false),
      };
    },
  };
}

function compilePolicy(id: string, position: number, json: PolicyJson): CompiledPolicy {
  const conditions = json.conditions.map(({ kind, body }): Test => {
    const test = compileTest(body);
    return kind === 'when' ? test : (environment) => !test(environment);
  });
  const named = json.principal.op === 'is' ? json.principal.in : json.principal;
  return {
    id,
    position,
    isRepeated: keysOfScope(json.action).length > 1,
    named: named && 'entity' in named ? entityOf(named).type : undefined,
    effect: json.effect,
    scope: compileScope(json),
    condition: conditions.reduce<Test | undefined>(
      (before, test) => (before ? (environment) => before(environment) && test(environment) : test),
      undefined,
    ),
  };
}

/** `isFound`: the policies come from the index, and their scopes are looked at; otherwise only the scopes that name one of this type. */
function answer(policies: readonly CompiledPolicy[], environment: Environment, isFound: boolean): Answer {
  let effect: PolicyJson['effect'] | undefined;
  let determining: CompiledPolicy[] = [];
  const errors: Answer['errors'] = [];
  const { type } = environment.principal;
  for (const policy of policies) {
    try {
      if ((isFound || policy.named === type) && !policy.scope(environment)) continue;
      if (policy.condition !== undefined && !policy.condition(environment)) continue;
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      errors.push({ policyId: policy.id, message: `policy ${policy.id}: ${error.message}` });
      continue;
    }
    if (policy.effect === 'permit' && effect === 'forbid') continue;
    if (policy.effect !== effect) determining = [];
    effect = policy.effect;
    determining.push(policy);
  }
  if (isFound && determining.length > 1) determining.sort((a, b) => a.position - b.position);
  return {
    decision: effect === 'permit' ? 'allow' : 'deny',
    reason: determining.map(({ id }) => id),
    errors,
  };
}

/** By resource, then action, then principal: the key of an entity that a scope names, or of a type, or of anything. */
type Index = Map<string, Map<string, Map<string, CompiledPolicy[]>>>;
type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource'];

/** No key of an entity begins with a blank. */
const ANYTHING = ' ';
const ofType = (type: string) => ` ${type}`;

function keysOfScope(scope: Scope): string[] {
  switch (scope.op) {
    case 'All':
      return [ANYTHING];
    case '==':
      return [entityOf(scope).key];
    case 'in':
      return 'entities' in scope
        ? [...new Set(scope.entities.map((each) => readUid(each).key))]
        : [entityOf(scope).key];
    case 'is':
      return [scope.in ? entityOf(scope.in).key : ofType(scope.entity_type)];
  }
}

function below<T>(map: Map<string, Map<string, T>>, keys: string[]): Map<string, T>[] {
  return keys.map((key) => {
    const known = map.get(key);
    if (known) return known;
    const made = new Map<string, T>();
    map.set(key, made);
    return made;
  });
}

function find(index: Index, { principal, action, resource, entities }: Environment): CompiledPolicy[] {
  const found: CompiledPolicy[] = [];
  const keys = (uid: EntityUid) => [ANYTHING, ofType(uid.type), uid.key, ...(entities.get(uid.key)?.ancestors ?? [])];
  const principals = keys(principal);
  const actions = keys(action);
  for (const resourceKey of keys(resource)) {
    const byAction = index.get(resourceKey);
    if (!byAction) continue;
    for (const actionKey of actions) {
      const byPrincipal = byAction.get(actionKey);
      if (!byPrincipal) continue;
      for (const principalKey of principals) {
        const list = byPrincipal.get(principalKey);
        if (list) for (const policy of list) if (!policy.isRepeated || !found.includes(policy)) found.push(policy);
      }
    }
  }
  return found;
}

function compileScope({ principal, action, resource }: PolicyJson): Test {
  const tests = [
    compilePart(principal, (environment) => environment.principal),
    compilePart(action, (environment) => environment.action),
    compilePart(resource, (environment) => environment.resource),
  ].filter((test) => test !== undefined);
  const [first, second, third] = tests;
  if (!first) return () => true;
  if (!second) return first;
  if (!third) return (environment) => first(environment) && second(environment);
  return (environment) => first(environment) && second(environment) && third(environment);
}

function compilePart(scope: Scope, of: (environment: Environment) => EntityUid): Test | undefined {
  switch (scope.op) {
    case 'All':
      return undefined;
    case '==': {
      const { key } = entityOf(scope);
      return (environment) => of(environment).key === key;
    }
    case 'in': {
      const groups = 'entities' in scope ? scope.entities.map(readUid) : [entityOf(scope)];
      return (environment) => groups.some((group) => isIn(of(environment), group, environment.entities));
    }
    case 'is': {
      const { entity_type: type } = scope;
      if (!scope.in) return (environment) => of(environment).type === type;
      const group = entityOf(scope.in);
      return (environment) => of(environment).type === type && isIn(of(environment), group, environment.entities);
    }
  }
}

function entityOf(scope: { entity: EntityUidJson } | { slot: string } | object): EntityUid {
  if (!('entity' in scope)) throw new TypeError('a template that is linked to nothing is no policy');
  return readUid(scope.entity as EntityUidJson);
}

/** The policy that a template becomes when its slots are filled (Cedar, "Policy templates"). */
export function linkTemplate(template: PolicyJson, values: Readonly<Record<string, EntityUidJson>>): PolicyJson {
  const fill = <T extends object>(scope: T): T => {
    if ('slot' in scope) {
      const { slot, ...rest } = scope as { slot: string };
      const entity = values[slot];
      if (entity === undefined) throw new TypeError(`the template's slot ${slot} is given nothing`);
      return { ...rest, entity } as unknown as T;
    }
    return 'in' in scope && scope.in ? { ...scope, in: fill(scope.in as object) } : scope;
  };
  return { ...template, principal: fill(template.principal), resource: fill(template.resource) };
}
