import type { RegisteredTool } from '../../registry/index.ts';

/** A part of a structured result that is masked whole: what is left of the way to it, and what it is. */
export interface Field {
  path: readonly string[];
  kind: string;
}

/** Parts that an operator says are of a kind that is to be masked. */
export function maskedFields({ fields }: RegisteredTool['labels']['returns'], mask: ReadonlySet<string>): Field[] {
  return Object.entries(fields).flatMap(([path, { sensitive }]) => {
    const kind = sensitive?.find((each) => mask.has(each));
    return kind === undefined ? [] : [{ path: path.split('.'), kind }];
  });
}

/** Those that lead on through this member. */
export const inMember = (fields: readonly Field[], name: string): readonly Field[] =>
  fields.length === 0
    ? fields
    : fields
        .filter(({ path: [next] }) => next === '*' || next === name)
        .map(({ path, kind }) => ({ path: path.slice(1), kind }));

/** The kind of what is masked whole here. */
export const maskedAt = (fields: readonly Field[]): string | undefined =>
  fields.find(({ path }) => path.length === 0)?.kind;
