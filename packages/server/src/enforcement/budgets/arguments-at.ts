import { isJsonObject, type Json } from '../../platform/index.ts';

/** What stands at a path: members by name, `*` for every element. Null when a part of it is missing; then nothing can be said of it. */
export function valuesAt(args: Json, path: readonly string[]): Json[] | null {
  let values: Json[] = [args];
  for (const step of path) {
    const next: Json[] = [];
    for (const value of values) {
      if (step === '*') {
        if (!Array.isArray(value)) return null;
        next.push(...value);
      } else {
        if (!isJsonObject(value) || !Object.hasOwn(value, step)) return null;
        next.push(value[step] as Json);
      }
    }
    values = next;
  }
  return values;
}

/**
 * The values by which a budget counts apart, as texts that are the same when they mean the same: each element of a list is one. Null when
 * one of them is no plain value.
 */
export function keyTexts(args: Json, path: readonly string[], compare: 'folded' | 'exact'): string[] | null {
  const values = valuesAt(args, path)?.flat();
  if (!values) return null;
  const texts = new Set<string>();
  for (const value of values) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) return null;
    texts.add(compare === 'exact' ? String(value) : folded(String(value)));
  }
  // A list without elements must not get past the budget.
  return texts.size === 0 ? [''] : [...texts];
}

/** What a tool may well take for the same: other case, spaces, full-width letters, characters that nobody sees. */
export function folded(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .toUpperCase()
    .toLowerCase();
}
