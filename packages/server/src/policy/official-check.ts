import { type DetailedError, type SchemaJson, type ValidationError, validate } from '@cedar-policy/cedar-wasm/nodejs';
import { effect, type PolicyProblem } from '@gatehouse/protocol';
import { isJsonObject } from '../platform/index.ts';
import { readUid } from './cedar/index.ts';
import { flowGroups } from './flow/index.ts';
import type { LoadedPolicy } from './load.ts';
import { nearest } from './nearest.ts';
import { problemIn, problemsFrom, withoutId } from './problems.ts';
import { NAMESPACE, type Subject } from './schema.ts';
import { placeOf } from './source-text.ts';

type Schema = SchemaJson<string>;

/**
 * Validation by the official engine. It takes time for each policy and each action of the schema. So of policies that differ in nothing
 * that validation looks at one is validated, and one that is about a single action is validated against that.
 */
export function check(
  schema: Schema,
  policies: ReadonlyMap<string, LoadedPolicy>,
  files: ReadonlyMap<string, { cedar: string }>,
  subjects: ReadonlyMap<string, Subject>,
): PolicyProblem[] {
  const found: ValidationError[] = [];
  const byAction = Map.groupBy(policies.values(), (policy) => onlyAction(policy, subjects));
  // The whole schema is validated even where no policy is about more than one tool.
  if (!byAction.has(undefined)) byAction.set(undefined, []);
  for (const [action, concerned] of byAction) {
    const part = action === undefined ? schema : withOnly(schema, action, subjects);
    const alike = [...Map.groupBy(concerned, shapeOf).values()];
    const firsts = validated(
      part,
      alike.map(([first]) => first as LoadedPolicy),
    );
    if ('problem' in firsts)
      return [{ ...problemIn({ name: '(schema)' }, placeOf('', 0), firsts.problem), place: null }];
    if (firsts.errors.length === 0) continue;
    // What is wrong is said of each, at its own place.
    const wrong = new Set(firsts.errors.map(({ policyId }) => policyId));
    const all = validated(
      part,
      alike.flatMap((each) => (each.some(({ id }) => wrong.has(id)) ? each : [])),
    );
    found.push(...('errors' in all ? all.errors : firsts.errors));
  }
  return merged(found.map(({ policyId, error }) => ({ policyId, error: helped(error, subjects) })))
    .flatMap(({ policyId, error }) => {
      const policy = policies.get(policyId);
      return policy ? problemsOf(policy, error, files) : [];
    })
    .sort((a, b) => (a.name === b.name ? (a.place?.line ?? 0) - (b.place?.line ?? 0) : a.name < b.name ? -1 : 1));
}

function validated(
  schema: Schema,
  policies: readonly LoadedPolicy[],
): { errors: ValidationError[] } | { problem: string } {
  const answer = validate({
    schema,
    policies: { staticPolicies: Object.fromEntries(policies.map(({ id, source }) => [id, source])) },
    validationSettings: { mode: 'strict' },
  });
  return answer.type === 'failure'
    ? { problem: answer.errors.map((error) => error.message).join('; ') }
    : { errors: answer.validationErrors };
}

/** The tool that a policy is about, where its scope names one and its conditions name no other. */
function onlyAction({ permit, json }: LoadedPolicy, subjects: ReadonlyMap<string, Subject>): string | undefined {
  if (permit) return permit.subject;
  const { action, conditions } = json;
  if (action.op !== '==' || !('entity' in action)) return undefined;
  const { id } = readUid(action.entity);
  if (!subjects.has(id)) return undefined;
  return JSON.stringify(withoutLiterals(conditions)).includes(`${NAMESPACE}::Action`) ? undefined : id;
}

/** Groups of actions stay: conditions may name them. */
function withOnly(schema: Schema, action: string, subjects: ReadonlyMap<string, Subject>): Schema {
  const own = schema[NAMESPACE];
  if (!own) return schema;
  const actions = Object.entries(own.actions).filter(([name]) => name === action || !subjects.has(name));
  return { [NAMESPACE]: { ...own, actions: Object.fromEntries(actions) } };
}

/**
 * INVARIANT: policies of one shape are all valid, or none is. Types are what is validated: which text or number a policy compares with
 * makes no difference to them, nor which principal its scope names. What a function reads (`ip("…")`) and all other names do.
 */
function shapeOf({ permit, json }: LoadedPolicy): string {
  if (permit)
    return JSON.stringify([
      permit.holder.kind,
      permit.conditions.map(({ argument, parameter, literal }) => [argument, parameter, typeof literal]),
    ]);
  const { annotations: _said, principal, ...rest } = json;
  const named = principal.op === 'is' ? principal.in : principal;
  const type = named && 'entity' in named ? readUid(named.entity).type : undefined;
  return JSON.stringify([principal.op, principal.op === 'is' && principal.entity_type, type, withoutLiterals(rest)]);
}

function withoutLiterals(node: unknown): unknown {
  if (typeof node === 'bigint') return `${node}n`;
  if (Array.isArray(node)) return node.map(withoutLiterals);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (!compares.has(key) || !isJsonObject(value) || !('left' in value) || !('right' in value))
        return [key, withoutLiterals(value)];
      return [key, comparedShape(value as { left: unknown; right: unknown })];
    }),
  );
}

const compares = new Set(['==', '!=', '<', '<=', '>', '>=']);

/** Two literals stay: what comes of comparing them is known to the validator, which looks no further than it must. */
function comparedShape(sides: { left: unknown; right: unknown }): unknown {
  const [left, right] = [literalType(sides.left), literalType(sides.right)];
  if (left !== undefined && right !== undefined) return { left: sides.left, right: sides.right };
  return {
    left: left === undefined ? withoutLiterals(sides.left) : { a: left },
    right: right === undefined ? withoutLiterals(sides.right) : { a: right },
  };
}

function literalType(node: unknown): 'string' | 'number' | undefined {
  if (!isJsonObject(node) || !('Value' in node)) return undefined;
  const type = typeof node.Value;
  return type === 'string' || type === 'number' ? type : undefined;
}

const MISSING = /attribute `arguments\.(\w+)` in context for \w+::Action::"([^"]*)" not found/;

/** A policy on many tools that looks at an argument which some of them lack has one problem, and not one for each tool. */
function merged(errors: ValidationError[]): ValidationError[] {
  const groups = Map.groupBy(errors, ({ policyId, error }) => {
    const [, argument] = MISSING.exec(error.message) ?? [];
    return JSON.stringify([policyId, error.sourceLocations ?? [], argument ?? error.message]);
  });
  return [...groups.values()].map((group) => {
    const [first] = group as [ValidationError];
    const lacking = new Set(group.flatMap(({ error }) => MISSING.exec(error.message)?.[2] ?? []));
    const [, argument = ''] = MISSING.exec(first.error.message) ?? [];
    if (lacking.size < 2) return first;
    const names = [...lacking].sort();
    const message = `${names.slice(0, 3).join(', ')} and ${Math.max(0, names.length - 3)} more that it is about have no argument "${argument}"`;
    const help = `narrow the action to those that have it, or ask \`context.arguments has ${argument} &&\` first`;
    return {
      ...first,
      error: { ...first.error, message: names.length > 3 ? message : message.replace(' and 0 more', ''), help },
    };
  });
}

function problemsOf(
  policy: LoadedPolicy,
  error: DetailedError,
  files: ReadonlyMap<string, { cedar: string }>,
): PolicyProblem[] {
  const { id, permit, source, offset } = policy;
  if (!permit) {
    const name = id.slice(0, id.indexOf('#'));
    const whole = files.get(name)?.cedar ?? '';
    return problemsFrom({ name, policy: id }, error, { whole, source: String(source), offset });
  }
  const { kind, name } = permit.holder;
  const index = /^\[(-?\d+)\]/.exec(id.slice(kind.length + 1 + name.length))?.[1];
  const message = `${permit.subject}: ${withoutId(error.message)}`;
  const { help } = error;
  const code = 'policy.invalid';
  return [{ code, severity: 'error', kind, name, policy: id, path: `allow[${index}]`, place: null, message, help }];
}

/** The official engine proposes whatever is there; this, what is near, and else what there is. */
function helped(error: DetailedError, subjects: ReadonlyMap<string, Subject>): DetailedError {
  const [, action] = /^for policy `[^`]*`, unrecognized action `\w+::Action::"([^"]*)"`/.exec(error.message) ?? [];
  if (action !== undefined) {
    const near = nearest(action, [...subjects.keys(), ...effect.options, ...flowGroups]);
    const help = near ? `did you mean \`Gatehouse::Action::"${near}"\`?` : 'no registered tool server offers it';
    return { ...error, help };
  }
  const [, attribute = '', ref = ''] = MISSING.exec(error.message) ?? [];
  const known = Object.keys(subjects.get(ref)?.arguments ?? {});
  if (known.length === 0) return error;
  const near = nearest(attribute, known);
  return { ...error, help: near ? `did you mean \`${near}\`?` : `${ref} has ${known.slice(0, 12).join(', ')}` };
}
