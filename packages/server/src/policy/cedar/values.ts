/**
 * Cedar's values (language reference, "Data types"). A Long is a number as long as it is exact in one, and a bigint beyond: each whole
 * number has one form, so that `===` compares them. Records are maps: no name is special in them.
 */
export type Value = boolean | string | Long | EntityUid | CedarSet | CedarRecord | Extension;
export type Long = number | bigint;
export interface CedarRecord extends Iterable<[string, Value]> {
  get(name: string): Value | undefined;
  readonly size: number;
}

/** What a policy evaluates to when it can't be: the policy then neither permits nor forbids, and is reported. */
export class EvaluationError extends Error {}

export class EntityUid {
  readonly type: string;
  readonly id: string;
  /** The same for two that are equal. A type has no blank in it, so that no two others share one. */
  readonly key: string;

  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
    this.key = `${type} ${id}`;
  }
}

/** What an extension type adds: values that are compared among themselves alone. */
export abstract class Extension {
  abstract readonly type: 'decimal' | 'ipaddr' | 'datetime' | 'duration';
  /** The same for two that are equal and of one type. */
  abstract readonly key: string;
}

const MAX_SCANNED = 8;

/** Elements in any order; equal ones may stand in it more than once. Large sets are searched by key, so that no request costs its square. */
export class CedarSet {
  readonly elements: readonly Value[];
  #keys: Set<string> | undefined;

  constructor(elements: readonly Value[]) {
    this.elements = elements;
  }

  has(value: Value): boolean {
    if (this.elements.length > MAX_SCANNED) return this.keys.has(keyOf(value));
    for (const element of this.elements) if (equal(element, value)) return true;
    return false;
  }

  hasAll(other: CedarSet): boolean {
    for (const element of other.elements) if (!this.has(element)) return false;
    return true;
  }

  hasAny(other: CedarSet): boolean {
    const [small, large] = other.elements.length < this.elements.length ? [other, this] : [this, other];
    for (const element of small.elements) if (large.has(element)) return true;
    return false;
  }

  get keys(): ReadonlySet<string> {
    this.#keys ??= new Set(this.elements.map(keyOf));
    return this.#keys;
  }
}

/** How one member of a record is made of what the record stands for; undefined: it has none of that name. */
export type Member<Source> = (source: Source) => Value | undefined;

/** A record whose members are made when a policy looks at them: most of what a request brings none does. What is dear to make is made once. */
export class LazyRecord<Source> implements CedarRecord {
  readonly #source: Source;
  readonly #members: ReadonlyMap<string, Member<Source>>;
  /** Names and what was made under each, in turn. Policies look at few members, which a list finds sooner than a map would be made. */
  #made: (string | Value)[] | undefined;

  constructor(source: Source, members: ReadonlyMap<string, Member<Source>>) {
    this.#source = source;
    this.#members = members;
  }

  get(name: string): Value | undefined {
    const made = this.#made;
    if (made !== undefined) for (let at = 0; at < made.length; at += 2) if (made[at] === name) return made[at + 1];
    const value = this.#members.get(name)?.(this.#source);
    if (typeof value === 'object') {
      if (made === undefined) this.#made = [name, value];
      else made.push(name, value);
    }
    return value;
  }

  get size(): number {
    return [...this].length;
  }

  *[Symbol.iterator](): Generator<[string, Value], undefined> {
    for (const name of this.#members.keys()) {
      const value = this.get(name);
      if (value !== undefined) yield [name, value];
    }
  }
}

export function isRecord(value: Value): value is CedarRecord {
  return value instanceof LazyRecord || value instanceof Map;
}

export function equal(left: Value, right: Value): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left instanceof EntityUid) return right instanceof EntityUid && left.key === right.key;
  if (left instanceof CedarSet) return right instanceof CedarSet && left.hasAll(right) && right.hasAll(left);
  if (left instanceof Extension)
    return right instanceof Extension && left.type === right.type && left.key === right.key;
  if (!isRecord(right) || left.size !== right.size) return false;
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other === undefined || !equal(value, other)) return false;
  }
  return true;
}

/** The same text for equal values, another one for others. */
export function keyOf(value: Value): string {
  switch (typeof value) {
    case 'string':
      return `s${value}`;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
    case 'bigint':
      return `i${value}`;
    default:
      if (value instanceof EntityUid) return `e${value.key}`;
      if (value instanceof Extension) return `x${value.type} ${value.key}`;
      // Written as JSON, so that no element can be taken for two.
      if (value instanceof CedarSet) return `[${JSON.stringify([...value.keys].sort())}`;
      return `{${JSON.stringify([...value].map(([name, member]) => [name, keyOf(member)]).sort())}`;
  }
}

export function typeName(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
    case 'bigint':
      return 'long';
    default:
      if (value instanceof EntityUid) return `(entity of type ${value.type})`;
      if (value instanceof Extension) return value.type;
      return value instanceof CedarSet ? 'set' : 'record';
  }
}

export function wrongType(wanted: string, value: Value): EvaluationError {
  return new EvaluationError(`type error: ${wanted} was expected, and this is a ${typeName(value)}`);
}

export function isLong(value: Value): value is Long {
  return typeof value === 'number' || typeof value === 'bigint';
}

export function asString(value: Value): string {
  if (typeof value === 'string') return value;
  throw wrongType('a string', value);
}

export function asBoolean(value: Value): boolean {
  if (typeof value === 'boolean') return value;
  throw wrongType('a bool', value);
}

export function asEntity(value: Value): EntityUid {
  if (value instanceof EntityUid) return value;
  throw wrongType('an entity', value);
}

export function asSet(value: Value): CedarSet {
  if (value instanceof CedarSet) return value;
  throw wrongType('a set', value);
}

export function asLong(value: Value): Long {
  if (isLong(value)) return value;
  throw wrongType('a long', value);
}

const MAX_LONG = 2n ** 63n - 1n;
const MIN_LONG = -(2n ** 63n);

/** In the form that a Long has. Throws when it does not fit 64 bits. */
export function toLong(value: bigint): Long {
  if (value > MAX_LONG || value < MIN_LONG)
    throw new EvaluationError('integer overflow: the result does not fit 64 bits');
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

export function add(left: Long, right: Long): Long {
  if (typeof left === 'number' && typeof right === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return toLong(BigInt(left) + BigInt(right));
}

export function subtract(left: Long, right: Long): Long {
  if (typeof left === 'number' && typeof right === 'number') {
    const difference = left - right;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return toLong(BigInt(left) - BigInt(right));
}

export function multiply(left: Long, right: Long): Long {
  if (typeof left === 'number' && typeof right === 'number') {
    const product = left * right;
    // + 0: the product of 0 and a negative number is -0, which is another text.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return toLong(BigInt(left) * BigInt(right));
}

export function negate(value: Long): Long {
  return typeof value === 'number' ? 0 - value : toLong(-value);
}
