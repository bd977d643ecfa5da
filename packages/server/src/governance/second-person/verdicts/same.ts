import { canonicalJson } from '../../../platform/index.ts';

export const isSame = (a: unknown, b: unknown) => canonicalJson(a ?? null) === canonicalJson(b ?? null);

export function membersThatDiffer(before: object, after: object): string[] {
  const [was, is] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const own = (of: Record<string, unknown>, name: string) => (Object.hasOwn(of, name) ? of[name] : null);
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].filter(
    (name) => !isSame(own(was, name), own(is, name)),
  );
}
