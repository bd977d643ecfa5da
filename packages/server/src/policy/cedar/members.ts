import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import type { Entities, Evaluate, Test } from './expression.ts';
import { EntityUid, EvaluationError, isRecord, type Value, wrongType } from './values.ts';

/** What nearly every policy looks at is found without a step in between: what the context holds, and what is known of the principal. */
export function member(owner: Expr, run: Evaluate, name: string): Evaluate {
  if (isVariable(owner, 'context')) return (env) => env.context.get(name) ?? noAttribute(name);
  if (isVariable(owner, 'principal')) return (env) => attributeOf(env.principal, name, env.entities);
  const above = ownerOf(owner);
  if (isVariable(above?.left, 'context')) {
    const { attr } = above as MemberJson;
    return (env) => memberOf(env.context.get(attr) ?? noAttribute(attr), name, env.entities);
  }
  if (isVariable(above?.left, 'principal')) {
    const { attr } = above as MemberJson;
    return (env) => memberOf(attributeOf(env.principal, attr, env.entities), name, env.entities);
  }
  return (env) => memberOf(run(env), name, env.entities);
}

export function hasMember(owner: Expr, run: Evaluate, name: string): Test {
  if (isVariable(owner, 'context')) return (env) => env.context.get(name) !== undefined;
  const above = ownerOf(owner);
  if (isVariable(above?.left, 'context')) {
    const { attr } = above as MemberJson;
    return (env) => hasOwnMember(env.context.get(attr) ?? noAttribute(attr), name, env.entities);
  }
  if (isVariable(above?.left, 'principal')) {
    const { attr } = above as MemberJson;
    return (env) => hasOwnMember(attributeOf(env.principal, attr, env.entities), name, env.entities);
  }
  return (env) => hasOwnMember(run(env), name, env.entities);
}

interface MemberJson {
  left: Expr;
  attr: string;
}

const isVariable = (expression: Expr | undefined, name: string) =>
  expression !== undefined && 'Var' in expression && expression.Var === name;

const ownerOf = (expression: Expr): MemberJson | undefined =>
  '.' in expression ? (expression['.'] as MemberJson) : undefined;

function memberOf(value: Value, name: string, entities: Entities): Value {
  if (isRecord(value)) return value.get(name) ?? noAttribute(name);
  if (value instanceof EntityUid) return attributeOf(value, name, entities);
  throw wrongType('a record or an entity', value);
}

function hasOwnMember(value: Value, name: string, entities: Entities): boolean {
  if (isRecord(value)) return value.get(name) !== undefined;
  if (value instanceof EntityUid) return entities.get(value.key)?.attrs.get(name) !== undefined;
  throw wrongType('a record or an entity', value);
}

function attributeOf(uid: EntityUid, name: string, entities: Entities): Value {
  const data = entities.get(uid.key);
  if (!data) throw new EvaluationError(`entity does not exist: ${uid.type}::${JSON.stringify(uid.id)}`);
  return data.attrs.get(name) ?? noAttribute(name);
}

function noAttribute(name: string): never {
  throw new EvaluationError(`attribute does not exist: ${JSON.stringify(name)}`);
}
