import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import { canonicalJson, type Json } from '../../platform/index.ts';
import { type Clause, clausesOf, pathOf } from '../../policy/index.ts';

/**
 * One condition in a form in which two can be compared: an expression that holds or not, and where it compares what is known by a path
 * with a constant, that path, the comparison and the constant.
 */
export interface Literal {
  /** The same for the same expression. */
  key: string;
  positive: boolean;
  expression: Expr;
  path: string | null;
  operator: '==' | '<' | '>' | null;
  value: Json | undefined;
}

export function literalsOf(conditions: readonly { kind: 'when' | 'unless'; body: Expr }[]): Literal[] {
  return clausesOf(conditions).map(literalOf);
}

const flipped: Record<string, string> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=', '==': '==', '!=': '!=' };
/** As the negation of a simpler comparison. */
const negated: Record<string, Literal['operator']> = { '!=': '==', '<=': '>', '>=': '<' };

export function literalOf({ expression, positive }: Clause): Literal {
  const [given = ''] = Object.keys(expression);
  if (!(given in flipped)) return { ...bare(expression, positive), path: null, operator: null, value: undefined };
  let { left, right } = (expression as Record<string, { left: Expr; right: Expr }>)[given] as {
    left: Expr;
    right: Expr;
  };
  let operator = given;
  if (constant(left) !== undefined && constant(right) === undefined)
    [left, right, operator] = [right, left, flipped[given] as string];
  const simple = negated[operator] ?? (operator as Literal['operator']);
  const holds = operator in negated ? !positive : positive;
  const same = { [simple as string]: { left, right } } as unknown as Expr;
  return { ...bare(same, holds), path: pathOf(left)?.join('.') ?? null, operator: simple, value: constant(right) };
}

function bare(expression: Expr, positive: boolean) {
  return { key: keyOf(expression), positive, expression };
}

/** Numbers beyond 2^53 are bigints, which JSON has not. */
export function keyOf(expression: unknown): string {
  return canonicalJson(
    JSON.parse(JSON.stringify(expression, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))) as Json,
  );
}

function constant(expression: Expr): Json | undefined {
  if (!('Value' in expression)) return undefined;
  const value = expression.Value;
  return typeof value === 'object' ? undefined : (value as Json);
}

export const opposite = (literal: Literal): Literal => ({ ...literal, positive: !literal.positive });

/** Whether one cannot hold without the other. False where that is not seen. */
export function implies(one: Literal, other: Literal): boolean {
  if (one.key === other.key) return one.positive === other.positive;
  if (one.path === null || one.path !== other.path || one.operator === null || other.operator === null) return false;
  const [inner, outer] = [rangeOf(one), rangeOf(other)];
  if (inner && outer) return inner[0] >= outer[0] && inner[1] <= outer[1];
  // `x == 5` leaves nothing of any other value.
  if (one.operator === '==' && one.positive && one.value !== undefined && other.value !== undefined) {
    if (other.operator === '==') return !other.positive && one.value !== other.value;
    if (inner && typeof other.value === 'number') return false;
  }
  const hole = other.operator === '==' && !other.positive && typeof other.value === 'number' ? other.value : undefined;
  return inner !== undefined && hole !== undefined && (hole < inner[0] || hole > inner[1]);
}

/** Of whole numbers: the least and the greatest that hold. */
function rangeOf({ operator, positive, value }: Literal): [number, number] | undefined {
  if (typeof value !== 'number') return undefined;
  if (operator === '==') return positive ? [value, value] : undefined;
  if (operator === '>') return positive ? [value + 1, Infinity] : [-Infinity, value];
  return positive ? [-Infinity, value - 1] : [value, Infinity];
}

/** Two that never hold together. */
export function contradiction(literals: readonly Literal[]): [Literal, Literal] | undefined {
  for (const [at, one] of literals.entries())
    for (const other of literals.slice(at + 1))
      if (implies(one, opposite(other)) || implies(other, opposite(one))) return [one, other];
  return undefined;
}

/** All that `wider` asks for is asked for by `narrower`. */
export function isImpliedBy(wider: readonly Literal[], narrower: readonly Literal[]): boolean {
  return wider.every((wanted) => narrower.some((given) => implies(given, wanted)));
}
