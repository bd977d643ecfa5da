import type { Narrowed } from './kind.ts';

/** What is in both. */
export function meetOf<T>(a: readonly T[], b: readonly T[]): T[] {
  const others = new Set(b);
  return [...new Set(a)].filter((each) => others.has(each));
}

/** Whether all of the one is in the other. */
export const isPart = <T>(some: readonly T[] = [], all: readonly T[] = []): boolean =>
  some.every((each) => all.includes(each));

/** The smaller of two limits, where either sets one. */
export const smaller = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b);

export const nothingLeft = (what: string): Narrowed<never> => ({
  problem: `What is asked for and what tasks of this template may be given have no ${what} in common.`,
});
