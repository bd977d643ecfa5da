import type { CedarValueJson, EntityUidJson, Expr } from '@cedar-policy/cedar-wasm/nodejs';
import { comparison, equality } from './comparison.ts';
import { extensionFunctions } from './extensions.ts';
import { policyLimits as limits } from './limits.ts';
import { hasMember, member } from './members.ts';
import {
  add,
  asBoolean,
  asEntity,
  asLong,
  asSet,
  asString,
  type CedarRecord,
  CedarSet,
  EntityUid,
  EvaluationError,
  isRecord,
  multiply,
  negate,
  subtract,
  toLong,
  type Value,
  wrongType,
} from './values.ts';

/** What is known of an entity. `ancestors` are the keys of all that it is in, at any remove. */
export interface EntityData {
  attrs: CedarRecord;
  tags: CedarRecord;
  ancestors: ReadonlySet<string>;
}

export interface Entities {
  get(key: string): EntityData | undefined;
}

/** What an expression is evaluated in. */
export interface Environment {
  principal: EntityUid;
  action: EntityUid;
  resource: EntityUid;
  context: CedarRecord;
  entities: Entities;
}

/** Throws `EvaluationError`. */
export type Evaluate = (environment: Environment) => Value;
export type Test = (environment: Environment) => boolean;

/** An expression that was compiled: `constant` has one `value` (or, without it, one error) whatever it is asked in. */
export interface Compiled {
  run: Evaluate;
  constant: boolean;
  boolean: boolean;
  value?: Value;
}

/**
 * Compiles the JSON form of an expression (Cedar, "JSON policy format") to closures with the semantics of the language reference:
 * operands from left to right, `&&`, `||` and `if` no further than they must, whole numbers of 64 bits that never wrap around.
 */
export function compileTest(expression: Expr): Test {
  return toTest(compile(expression, 0));
}

function toTest({ run, boolean }: Compiled): Test {
  return boolean ? (run as Test) : (environment) => asBoolean(run(environment));
}

const ofBoolean = (run: Test, ...parts: Compiled[]): Compiled =>
  folded({ run, constant: parts.every(({ constant }) => constant), boolean: true });
const ofAny = (run: Evaluate, ...parts: Compiled[]): Compiled =>
  folded({ run, constant: parts.every(({ constant }) => constant), boolean: false });

/** What has no variable in it is evaluated now. An error stays one of the moment when it is reached. */
function folded(compiled: Compiled): Compiled {
  if (!compiled.constant) return compiled;
  try {
    const value = compiled.run(NOWHERE);
    return constantOf(value);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return compiled;
  }
}

const constantOf = (value: Value): Compiled => ({
  run: () => value,
  constant: true,
  boolean: typeof value === 'boolean',
  value,
});

const nobody = new EntityUid('', '');
const NOWHERE: Environment = {
  principal: nobody,
  action: nobody,
  resource: nobody,
  context: new Map(),
  entities: new Map(),
};

type Operands = { left: Expr; right: Expr };

function compile(expression: Expr, depth: number): Compiled {
  if (depth > limits.expressionDepth)
    throw new RangeError(`an expression is nested more than ${limits.expressionDepth} levels deep`);
  const [operator, ...others] = Object.keys(expression);
  if (operator === undefined || others.length > 0)
    throw new TypeError(`not an expression: ${JSON.stringify(expression).slice(0, 100)}`);
  const operands = (expression as Record<string, unknown>)[operator];
  const sub = (part: Expr) => compile(part, depth + 1);
  const both = () => [sub((operands as Operands).left), sub((operands as Operands).right)] as const;

  switch (operator) {
    case 'Value': {
      return constantOf(readValue(operands as CedarValueJson));
    }
    case 'Var':
      return variable(operands as string);
    case 'Set': {
      const parts = (operands as Expr[]).map(sub);
      return ofAny((env) => new CedarSet(parts.map(({ run }) => run(env))), ...parts);
    }
    case 'Record': {
      const parts = Object.entries(operands as Record<string, Expr>).map(([name, part]) => [name, sub(part)] as const);
      return ofAny(
        (env) => new Map(parts.map(([name, { run }]) => [name, run(env)])),
        ...parts.map(([, part]) => part),
      );
    }
    case '&&': {
      const parts = conjuncts(expression).map(({ part, below }) => compile(part, depth + below));
      return ofBoolean(all(parts.map(toTest)), ...parts);
    }
    case '||': {
      const [left, right] = both();
      const [first, second] = [toTest(left), toTest(right)];
      return ofBoolean((env) => first(env) || second(env), left, right);
    }
    case '!': {
      const argument = sub((operands as { arg: Expr }).arg);
      const test = toTest(argument);
      return ofBoolean((env) => !test(env), argument);
    }
    case 'if-then-else': {
      const parts = operands as { if: Expr; then: Expr; else: Expr };
      const [condition, then, otherwise] = [sub(parts.if), sub(parts.then), sub(parts.else)];
      const test = toTest(condition);
      const run: Evaluate = (env) => (test(env) ? then.run(env) : otherwise.run(env));
      return then.boolean && otherwise.boolean
        ? ofBoolean(run as Test, condition, then, otherwise)
        : ofAny(run, condition, then, otherwise);
    }
    case '==': {
      const [left, right] = both();
      return ofBoolean(equality(left, right), left, right);
    }
    case '!=': {
      const [left, right] = both();
      const same = equality(left, right);
      return ofBoolean((env) => !same(env), left, right);
    }
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const [left, right] = both();
      return ofBoolean(comparison(operator, left, right), left, right);
    }
    case '+':
    case '-':
    case '*': {
      const [left, right] = both();
      const calculate = { '+': add, '-': subtract, '*': multiply }[operator];
      return ofAny((env) => calculate(asLong(left.run(env)), asLong(right.run(env))), left, right);
    }
    case 'neg': {
      const argument = sub((operands as { arg: Expr }).arg);
      return ofAny((env) => negate(asLong(argument.run(env))), argument);
    }
    case 'in': {
      const [left, right] = both();
      return ofHierarchy((env) => isIn(asEntity(left.run(env)), right.run(env), env.entities));
    }
    case 'is': {
      const { left, entity_type: type, in: above } = operands as { left: Expr; entity_type: string; in?: Expr };
      const entity = sub(left);
      if (above === undefined) return ofBoolean((env) => asEntity(entity.run(env)).type === type, entity);
      const group = sub(above);
      return ofHierarchy((env) => {
        const uid = asEntity(entity.run(env));
        return uid.type === type && isIn(uid, group.run(env), env.entities);
      });
    }
    case 'contains': {
      const [left, right] = both();
      return ofBoolean(membership(left, right), left, right);
    }
    case 'containsAll': {
      const [left, right] = both();
      return ofBoolean((env) => asSet(left.run(env)).hasAll(asSet(right.run(env))), left, right);
    }
    case 'containsAny': {
      const [left, right] = both();
      return ofBoolean((env) => asSet(left.run(env)).hasAny(asSet(right.run(env))), left, right);
    }
    case 'isEmpty': {
      const argument = sub((operands as { arg: Expr }).arg);
      return ofBoolean((env) => asSet(argument.run(env)).elements.length === 0, argument);
    }
    case '.': {
      const { left, attr } = operands as { left: Expr; attr: string };
      return { run: member(left, sub(left).run, attr), constant: false, boolean: false };
    }
    case 'has': {
      const { left, attr } = operands as { left: Expr; attr: string | string[] };
      const owner = sub(left);
      const path = typeof attr === 'string' ? [attr] : attr;
      const [name, ...more] = path;
      if (name !== undefined && more.length === 0) return ofHierarchy(hasMember(left, owner.run, name));
      return ofHierarchy((env) => hasPath(owner.run(env), path, env.entities));
    }
    case 'getTag': {
      const [left, right] = both();
      return {
        run: (env) => tag(asEntity(left.run(env)), asString(right.run(env)), env.entities),
        constant: false,
        boolean: false,
      };
    }
    case 'hasTag': {
      const [left, right] = both();
      return ofHierarchy((env) => {
        const { key } = asEntity(left.run(env));
        const name = asString(right.run(env));
        return env.entities.get(key)?.tags.get(name) !== undefined;
      });
    }
    case 'like': {
      const { left, pattern } = operands as { left: Expr; pattern: PatternPart[] };
      const text = sub(left);
      const matches = compilePattern(pattern);
      return ofBoolean((env) => matches(asString(text.run(env))), text);
    }
    default:
      return extension(operator, (operands as Expr[]).map(sub));
  }
}

/** What `&&` joins, from left to right, and how many levels below it each stands. */
function conjuncts(expression: Expr, below = 0): { part: Expr; below: number }[] {
  if (!('&&' in expression) || below > limits.expressionDepth) return [{ part: expression, below }];
  const { left, right } = expression['&&'] as Operands;
  return [...conjuncts(left, below + 1), ...conjuncts(right, below + 1)];
}

/** All of them, and no further than the first that does not hold. */
function all(tests: readonly Test[]): Test {
  const [first, second, third, ...more] = tests as [Test, Test, ...Test[]];
  if (third === undefined) return (env) => first(env) && second(env);
  if (more.length === 0) return (env) => first(env) && second(env) && third(env);
  const rest = more.length === 1 ? (more[0] as Test) : all(more);
  return (env) => first(env) && second(env) && third(env) && rest(env);
}

function membership({ run: set, value }: Compiled, { run: element }: Compiled): Test {
  if (value instanceof CedarSet) return (env) => value.has(element(env));
  return (env) => asSet(set(env)).has(element(env));
}

/** What looks at entities is never constant. */
function ofHierarchy(run: Test): Compiled {
  return { run, constant: false, boolean: true };
}

function variable(name: string): Compiled {
  const variables: Record<string, Evaluate> = {
    principal: (env) => env.principal,
    action: (env) => env.action,
    resource: (env) => env.resource,
    context: (env) => env.context,
  };
  const run = variables[name];
  if (!run) throw new TypeError(`not a variable: ${name}`);
  return { run, constant: false, boolean: false };
}

function extension(name: string, parts: Compiled[]): Compiled {
  const operation = extensionFunctions.get(name);
  if (!operation) throw new TypeError(`not a function: ${name}`);
  if (operation.arity !== parts.length)
    return ofAny(
      () => {
        throw new EvaluationError(
          `wrong number of arguments: ${name} takes ${operation.arity}, and is given ${parts.length}`,
        );
      },
      ...parts,
    );
  return ofAny((env) => operation.call(parts.map(({ run }) => run(env))), ...parts);
}

export function isIn(uid: EntityUid, group: Value, entities: Entities): boolean {
  if (group instanceof EntityUid)
    return uid.key === group.key || (entities.get(uid.key)?.ancestors.has(group.key) ?? false);
  if (!(group instanceof CedarSet)) throw wrongType('an entity or a set of entities', group);
  // All of them first: one that is no entity is an error, wherever it stands.
  const groups = group.elements.map(asEntity);
  const ancestors = entities.get(uid.key)?.ancestors;
  return groups.some(({ key }) => uid.key === key || ancestors?.has(key));
}

/** `a has b.c` is `a has b && a.b has c`. */
function hasPath(owner: Value, path: readonly string[], entities: Entities): boolean {
  let at = owner;
  for (const name of path) {
    let value: Value | undefined;
    if (at instanceof EntityUid) value = entities.get(at.key)?.attrs.get(name);
    else if (isRecord(at)) value = at.get(name);
    else throw wrongType('a record or an entity', at);
    if (value === undefined) return false;
    at = value;
  }
  return true;
}

function tag(uid: EntityUid, name: string, entities: Entities): Value {
  const data = entities.get(uid.key);
  if (!data) throw new EvaluationError(`entity does not exist: ${uid.type}::${JSON.stringify(uid.id)}`);
  const value = data.tags.get(name);
  if (value === undefined) throw new EvaluationError(`tag does not exist: ${JSON.stringify(name)}`);
  return value;
}

type PatternPart = 'Wildcard' | { Literal: string };

/** Time grows with the text times the number of pieces at most, whatever the pattern: pieces are found from left to right. */
function compilePattern(pattern: readonly PatternPart[]): (text: string) => boolean {
  const pieces = [''];
  for (const part of pattern) {
    if (part === 'Wildcard') pieces.push('');
    else pieces[pieces.length - 1] += part.Literal;
  }
  const [first = '', ...rest] = pieces;
  const last = rest.pop();
  if (last === undefined) return (text) => text === first;
  const middle = rest.filter((piece) => piece !== '');
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found < 0 || found + piece.length > end) return false;
      at = found + piece.length;
    }
    return true;
  };
}

export function readUid(json: EntityUidJson): EntityUid {
  const { type, id } = '__entity' in json ? json.__entity : json;
  return new EntityUid(type, id);
}

/** A value from Cedar's JSON form ("JSON entity format"), whole numbers as number or bigint. Throws `EvaluationError` for what none is. */
export function readValue(json: unknown): Value {
  switch (typeof json) {
    case 'string':
    case 'boolean':
      return json;
    case 'bigint':
      return toLong(json);
    case 'number':
      if (!Number.isSafeInteger(json))
        throw new EvaluationError(`not a whole number that can be written exactly: ${json}`);
      return json + 0;
    case 'object':
      break;
    default:
      throw new EvaluationError(`not a value: ${String(json)}`);
  }
  if (json === null) throw new EvaluationError('null is not a value');
  if (Array.isArray(json)) return new CedarSet(json.map(readValue));
  if ('__entity' in json) return readUid(json as EntityUidJson);
  if ('__extn' in json) {
    const { fn, ...given } = json.__extn as { fn: string; arg?: unknown; args?: unknown[] };
    const operation = extensionFunctions.get(fn);
    const args = given.args ?? [given.arg];
    if (operation?.arity !== args.length)
      throw new EvaluationError(`not an extension function of ${args.length}: ${fn}`);
    return operation.call(args.map(readValue));
  }
  return new Map(Object.entries(json).map(([name, member]) => [name, readValue(member)]));
}
