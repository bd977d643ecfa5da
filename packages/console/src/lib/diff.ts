export interface FieldChange {
  /** `inputSchema.properties.amount.maximum` */
  path: string;
  kind: 'added' | 'removed' | 'changed';
  before: unknown;
  after: unknown;
}

/** Members that differ, deepest first point of difference, in the order of the served definition. */
export function fieldChanges(before: unknown, after: unknown, path = ''): FieldChange[] {
  if (isObject(before) && isObject(after)) {
    const names = [...Object.keys(after), ...Object.keys(before).filter((name) => !Object.hasOwn(after, name))];
    return names.flatMap((name) => {
      const at = path === '' ? name : `${path}.${name}`;
      if (!Object.hasOwn(before, name)) return [{ path: at, kind: 'added', before: undefined, after: after[name] }];
      if (!Object.hasOwn(after, name)) return [{ path: at, kind: 'removed', before: before[name], after: undefined }];
      return fieldChanges(before[name], after[name], at);
    });
  }
  return same(before, after) ? [] : [{ path: path || '(whole)', kind: 'changed', before, after }];
}

export interface Part {
  text: string;
  kind: 'same' | 'removed' | 'added';
}

/** Cells of the table that the longest common subsequence needs; beyond it the texts are shown whole. */
const MOST_CELLS = 4_000_000;

/** Word by word, white space kept. */
export const wordDiff = (before: string, after: string): Part[] =>
  diff(
    before.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [],
    after.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [],
  );

/** Line by line; each part holds whole lines. */
export const lineDiff = (before: string, after: string): Part[] =>
  diff(before.match(/[^\n]*\n|[^\n]+$/g) ?? [], after.match(/[^\n]*\n|[^\n]+$/g) ?? []);

function diff(a: string[], b: string[]): Part[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const parts: Part[] = [];
  const push = (kind: Part['kind'], text: string) => {
    const last = parts.at(-1);
    if (last?.kind === kind) last.text += text;
    else if (text !== '') parts.push({ kind, text });
  };
  push('same', a.slice(0, start).join(''));
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if ((left.length + 1) * (right.length + 1) > MOST_CELLS) {
    push('removed', left.join(''));
    push('added', right.join(''));
  } else middle(left, right, push);
  push('same', a.slice(a.length - end).join(''));
  return parts;
}

function middle(a: string[], b: string[], push: (kind: Part['kind'], text: string) => void): void {
  const width = b.length + 1;
  const common = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push('same', a[i] ?? '');
      i++;
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) push('removed', a[i++] ?? '');
    else push('added', b[j++] ?? '');
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => same(item, b[index]));
  if (isObject(a) && isObject(b)) return fieldChanges(a, b).length === 0;
  return false;
}
