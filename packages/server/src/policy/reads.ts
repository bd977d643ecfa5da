import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isJsonObject, type Json } from '../platform/index.ts';
import type { ArgumentsType, ArgumentType } from './schema.ts';
import { situationMembers } from './situation.ts';

/**
 * What a policy looks at below `context.arguments`. Cedar reads an argument that has no type as an absent one, so that `has` says no
 * and a forbid passes over it, whatever the tool is given. So that this can't be used to pass a policy by, a policy that looks at an
 * argument which no tool in its scope types does not load, and a call that brings an argument which a policy in scope looks at and
 * can't see is refused.
 */
export interface Read {
  path: string[];
  /** True: the value is used, with all that is in it. False: only whether it is there (`has`). */
  whole: boolean;
}

export function argumentReads(policy: PolicyJson): Read[] {
  // Of `context` alone everything is used.
  return contextReads(policy)
    .filter(({ path: [first] }) => first === undefined || first === 'arguments')
    .map(({ path, whole }) => ({ path: path.slice(1), whole }));
}

/** Members of the context, beside the arguments, that a policy looks at. */
export function situationReads(policy: PolicyJson): readonly string[] {
  const read = contextReads(policy).map(({ path: [first] }) => first);
  const known = Object.keys(situationMembers);
  return read.includes(undefined) ? known : known.filter((name) => read.includes(name));
}

/** Calendars that are asked about by name. */
export function calendarsNamed(policy: PolicyJson): string[] {
  const names: string[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const each of node) visit(each);
    if (!isJsonObject(node)) return;
    for (const [operator, operands] of Object.entries(node)) {
      if (/^contains(All|Any)?$/.test(operator) && isJsonObject(operands) && isCalendars(operands.left))
        names.push(...literals(operands.right));
      visit(operands);
    }
  };
  for (const { body } of policy.conditions) visit(body);
  return names;
}

const isCalendars = (node: unknown) => contextPath(node)?.path.join('.') === 'calendars';

function literals(node: unknown): string[] {
  if (!isJsonObject(node)) return [];
  if (Array.isArray(node.Set)) return node.Set.flatMap(literals);
  return typeof node.Value === 'string' ? [node.Value] : [];
}

function contextReads(policy: PolicyJson): Read[] {
  const reads: Read[] = [];
  const visit = (node: unknown): void => {
    const chain = contextPath(node);
    if (chain) {
      reads.push(chain);
    } else if (Array.isArray(node)) {
      for (const element of node) visit(element);
    } else if (isJsonObject(node) && !('Value' in node)) {
      // The members of a record literal have names of their own, which are no expressions.
      for (const member of Object.values(isJsonObject(node.Record) ? node.Record : node)) visit(member);
    }
  };
  for (const { body } of policy.conditions) visit(body);
  return reads;
}

function contextPath(node: unknown): Read | undefined {
  if (!isJsonObject(node)) return undefined;
  if (node.Var === 'context') return { path: [], whole: true };
  const step = node['.'] ?? node.has;
  if (!isJsonObject(step)) return undefined;
  const left = contextPath(step.left);
  return left && { path: [...left.path, ...[step.attr as string | string[]].flat()], whole: '.' in node };
}

/** Whether a policy can see what it looks at on a tool with these arguments. */
export function isTyped({ path }: Read, type: ArgumentsType): boolean {
  let at: ArgumentType = { kind: 'Record', attributes: type };
  for (const key of path) {
    const member: ArgumentType | undefined = memberOf(at, key);
    if (!member) return false;
    at = member;
  }
  return true;
}

/** False: whatever a call brings, the policy sees all of what it looks at. */
export function mayBeUnseen({ path, whole }: Read, type: ArgumentsType): boolean {
  let at: ArgumentType = { kind: 'Record', attributes: type };
  for (const key of path) {
    const member: ArgumentType | undefined = memberOf(at, key);
    if (!member) return true;
    at = member;
  }
  return whole && holdsRecord(at);
}

const holdsRecord = (type: ArgumentType): boolean =>
  type.kind === 'Record' || (type.kind === 'Set' && holdsRecord(type.element));

/** The first argument of the call, as a path, that is looked at and can't be seen. */
export function unseenArgument(reads: Read[], value: Json, type: ArgumentsType): string | undefined {
  for (const { path, whole } of reads) {
    const found = unseenAlong(path, whole, value, { kind: 'Record', attributes: type }, []);
    if (found) return found.join('.');
  }
  return undefined;
}

function unseenAlong(
  path: string[],
  whole: boolean,
  value: Json,
  type: ArgumentType,
  walked: string[],
): string[] | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return whole ? unseenWithin(value, type, walked) : undefined;
  if (!isJsonObject(value) || !Object.hasOwn(value, key)) return undefined;
  const member = memberOf(type, key);
  return member ? unseenAlong(rest, whole, value[key] as Json, member, [...walked, key]) : [...walked, key];
}

function unseenWithin(value: Json, type: ArgumentType, walked: string[]): string[] | undefined {
  if (type.kind === 'Set' && Array.isArray(value)) {
    for (const [at, element] of value.entries()) {
      const found = unseenWithin(element, type.element, [...walked, String(at)]);
      if (found) return found;
    }
  }
  if (type.kind === 'Record' && isJsonObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      const memberType = memberOf(type, key);
      const found = memberType ? unseenWithin(member, memberType, [...walked, key]) : [...walked, key];
      if (found) return found;
    }
  }
  return undefined;
}

function memberOf(type: ArgumentType, key: string): ArgumentType | undefined {
  return type.kind === 'Record' && Object.hasOwn(type.attributes, key) ? type.attributes[key]?.type : undefined;
}
