export interface Difference {
  /** `tools.refund_order.tier`, `allow[0].tools`; empty for the value itself. */
  path: string;
  /** Undefined where it is absent. */
  before: unknown;
  after: unknown;
}

/** Where two JSON values differ. Lists of objects are compared place by place, other lists as a whole; key order never matters. */
export function differences(before: unknown, after: unknown, path = ''): Difference[] {
  if (Object.is(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => differences(own(before, key), own(after, key), join(path, key)));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    if ([...before, ...after].every(isObject)) {
      const length = Math.max(before.length, after.length);
      return Array.from({ length }).flatMap((_, at) => differences(before[at], after[at], `${path}[${at}]`));
    }
    const same =
      before.length === after.length && before.every((item, at) => differences(item, after[at]).length === 0);
    return same ? [] : [{ path, before, after }];
  }
  return [{ path, before, after }];
}

/** One difference in words, for records and reviews: `tier: 1 → 2`. */
export function inWords({ path, before, after }: Difference): string {
  const name = path || 'the whole';
  if (before === undefined) return `${name}: added ${shown(after)}`;
  if (after === undefined) return `${name}: removed ${shown(before)}`;
  return `${name}: ${shown(before)} → ${shown(after)}`;
}

const SHOWN_CHARS = 160;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}… (${text.length} characters)` : text;
}

function join(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$-]*$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path ? `${path}.${key}` : key;
}

function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
