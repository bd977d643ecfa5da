import type { EntityUidJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { compileTest, type Environment, isIn, readUid, type Test } from './expression.ts';
import { policyLimits } from './limits.ts';
import { EntityUid, EvaluationError } from './values.ts';

/** Of a slice, the same object for the same answer: nobody may change one. */
export interface Answer {
  readonly decision: 'allow' | 'deny';
  /** Ids of the policies that the decision rests on, in the order of the set: the forbids if one applies, else the permits. */
  readonly reason: readonly string[];
  /** Policies that could not be evaluated, which neither permit nor forbid. */
  readonly errors: readonly { policyId: string; message: string }[];
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
  const compileConditions = sharing();
  let position = 0;
  for (const { id, json } of policies) {
    const policy = compilePolicy(id, position++, json, compileConditions(json.conditions));
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
    authorize: (environment) => answer(find(index, environment), environment),
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
      return { policies: all.map(({ id }) => id), authorize: answering(all, principal.type) };
    },
  };
}

function compilePolicy(id: string, position: number, json: PolicyJson, condition: Test | undefined): CompiledPolicy {
  const named = json.principal.op === 'is' ? json.principal.in : json.principal;
  return {
    id,
    position,
    isRepeated: keysOfScope(json.action).length > 1,
    named: named && 'entity' in named ? entityOf(named).type : undefined,
    effect: json.effect,
    scope: compileScope(json),
    condition,
  };
}

type Conditions = PolicyJson['conditions'];

/** The same conditions are compiled once, however many policies have them: most have those of their template, and what is shared stays near. */
function sharing(): (conditions: Conditions) => Test | undefined {
  const known = new Map<string, Test | undefined>();
  return (conditions) => {
    const key = textOf(conditions);
    if (key === undefined) return compileConditions(conditions);
    let test = known.get(key);
    if (test === undefined) {
      test = compileConditions(conditions);
      known.set(key, test);
    }
    return test;
  };
}

/** Undefined for what JSON can't say exactly (large whole numbers), and for what is long: it is hardly the same as another. */
function textOf(conditions: Conditions): string | undefined {
  try {
    const text = JSON.stringify(conditions);
    return text.length > policyLimits.sharedConditionChars ? undefined : text;
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function compileConditions(conditions: Conditions): Test | undefined {
  const tests = conditions.map(({ kind, body }): Test => {
    const test = compileTest(body);
    return kind === 'when' ? test : (environment) => !test(environment);
  });
  return tests.reduce<Test | undefined>(
    (before, test) => (before ? (environment) => before(environment) && test(environment) : test),
    undefined,
  );
}

function answer(policies: readonly CompiledPolicy[], environment: Environment): Answer {
  const applying: CompiledPolicy[] = [];
  const errors: Failure[] = [];
  for (const policy of policies) {
    try {
      if (!policy.scope(environment)) continue;
      if (policy.condition === undefined || policy.condition(environment)) applying.push(policy);
    } catch (error) {
      errors.push(errorOf(policy, error));
    }
  }
  return { ...answerOf(applying), errors };
}

/** Forbids win. */
function answerOf(applying: readonly CompiledPolicy[]): Answer {
  const forbids = applying.filter(({ effect }) => effect === 'forbid');
  const determining = (forbids.length > 0 ? forbids : [...applying]).sort((a, b) => a.position - b.position);
  return {
    decision: forbids.length > 0 || applying.length === 0 ? 'deny' : 'allow',
    reason: determining.map(({ id }) => id),
    errors: [],
  };
}

type Failure = Answer['errors'][number];

function errorOf({ id }: CompiledPolicy, error: unknown): Failure {
  if (!(error instanceof EvaluationError)) throw error;
  return { policyId: id, message: `policy ${id}: ${error.message}` };
}

/** Which policies apply, as a way from one that does to the next: whoever goes the same way gets the same answer, made once. */
interface Applying {
  policies: readonly CompiledPolicy[];
  answer: Answer;
  /** By the next one's place among all that could apply. */
  next: (Applying | undefined)[];
}

/** Scopes are looked at only where they name one principal of this type; all others are known to match. */
function answering(policies: readonly CompiledPolicy[], type: string): (environment: Environment) => Answer {
  const tests = policies.map(({ scope, condition, named }): Test | undefined => {
    if (named !== type) return condition;
    return condition ? (env) => scope(env) && condition(env) : scope;
  });
  const none: Applying = { policies: [], answer: answerOf([]), next: [] };
  let kept = 0;

  function extend(before: Applying, at: number): Applying {
    const applying = [...before.policies, policies[at] as CompiledPolicy];
    const made = { policies: applying, answer: answerOf(applying), next: [] };
    if (kept < policyLimits.answersKept) {
      kept++;
      before.next[at] = made;
    }
    return made;
  }

  return (environment) => {
    let applying = none;
    let errors: Failure[] | undefined;
    for (let at = 0; at < tests.length; at++) {
      const test = tests[at];
      try {
        if (test !== undefined && !test(environment)) continue;
      } catch (error) {
        errors ??= [];
        errors.push(errorOf(policies[at] as CompiledPolicy, error));
        continue;
      }
      applying = applying.next[at] ?? extend(applying, at);
    }
    return errors ? { ...applying.answer, errors } : applying.answer;
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
