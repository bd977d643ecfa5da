import type { Compiled, Evaluate, Test } from './expression.ts';
import { Datetime, Duration } from './extensions.ts';
import { equal, isLong, typeName, type Value, wrongType } from './values.ts';

export function equality(left: Compiled, right: Compiled): Test {
  const [first, second] = [left.run, right.run];
  const { value = left.value } = right;
  // What is no object equals what is the same, and nothing else.
  if (value === undefined || typeof value === 'object') return (env) => equal(first(env), second(env));
  const other = right.value === undefined ? second : first;
  return (env) => other(env) === value;
}

const comparisons = {
  '<': (a: number | bigint, b: number | bigint) => a < b,
  '<=': (a: number | bigint, b: number | bigint) => a <= b,
  '>': (a: number | bigint, b: number | bigint) => a > b,
  '>=': (a: number | bigint, b: number | bigint) => a >= b,
};

/** A closure for each operator: one for all would have to be told which each time. */
export function comparison(
  operator: keyof typeof comparisons,
  { run: left }: Compiled,
  { run: right, value }: Compiled,
): Test {
  const other = (a: Value, b: Value) => compareOthers(comparisons[operator], a, b);
  if (typeof value === 'number') return comparisonWith(operator, left, value, other);
  const fast: Record<keyof typeof comparisons, Test> = {
    '<': (env) => {
      const a = left(env);
      const b = right(env);
      return typeof a === 'number' && typeof b === 'number' ? a < b : other(a, b);
    },
    '<=': (env) => {
      const a = left(env);
      const b = right(env);
      return typeof a === 'number' && typeof b === 'number' ? a <= b : other(a, b);
    },
    '>': (env) => {
      const a = left(env);
      const b = right(env);
      return typeof a === 'number' && typeof b === 'number' ? a > b : other(a, b);
    },
    '>=': (env) => {
      const a = left(env);
      const b = right(env);
      return typeof a === 'number' && typeof b === 'number' ? a >= b : other(a, b);
    },
  };
  return fast[operator];
}

/** What most policies compare with is written in them. */
function comparisonWith(
  operator: keyof typeof comparisons,
  left: Evaluate,
  b: number,
  other: (a: Value, b: Value) => boolean,
): Test {
  const fast: Record<keyof typeof comparisons, Test> = {
    '<': (env) => {
      const a = left(env);
      return typeof a === 'number' ? a < b : other(a, b);
    },
    '<=': (env) => {
      const a = left(env);
      return typeof a === 'number' ? a <= b : other(a, b);
    },
    '>': (env) => {
      const a = left(env);
      return typeof a === 'number' ? a > b : other(a, b);
    },
    '>=': (env) => {
      const a = left(env);
      return typeof a === 'number' ? a >= b : other(a, b);
    },
  };
  return fast[operator];
}

function compareOthers(compare: (typeof comparisons)['<'], a: Value, b: Value): boolean {
  if (isLong(a) && isLong(b)) return compare(a, b);
  if ((a instanceof Datetime && b instanceof Datetime) || (a instanceof Duration && b instanceof Duration))
    return compare(a.value, b.value);
  if (isLong(a) || a instanceof Datetime || a instanceof Duration) throw wrongType(`a ${typeName(a)}`, b);
  throw wrongType('a long, datetime or duration', a);
}
