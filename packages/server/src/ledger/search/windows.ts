import type { Find, Found, Hit } from './types.ts';

/**
 * The first window is small, as most searches are answered by what was just recorded; what finds little grows. Each is a whole block of ids of
 * its size, so that an index may have a term for each block.
 */
export const WINDOWS = [2 ** 14, 2 ** 16, 2 ** 18, 2 ** 20] as const;
/** One that is looked through in less lets the next be larger; one that takes more has it smaller, so that a page ends in time. */
const QUICK_MS = 4;
const SLOW_MS = 12;
/** Clocks of replicas may differ by this much, and so may the order of their records from that of their times. */
const CLOCKS_DIFFER_MS = 300_000;

export interface WindowReader {
  /** Of the newest document with an id of at most this. */
  at(id: number): Promise<{ id: number; at: number } | undefined>;
  newest(): Promise<number>;
  /** Hits in `[low, high)`, greatest id first. All of it stands in one block of `size`, which is `Infinity` or one of `WINDOWS`. */
  within(low: number, high: number, limit: number, size: number): Promise<(Hit & { at: number })[]>;
}

interface FindOptions {
  /** So little fits that all of it is looked at together. */
  inOne?: boolean;
  now?: () => number;
}

/**
 * Looks back from the newest document, window by window, until the page is full or its time is up: then the cursor stands where it has
 * come to. So a page costs about the same in a log of any length, whatever is asked for together.
 */
export async function findByWindows(
  reader: WindowReader,
  { from, to, before, limit, budgetMs }: Find,
  { inOne = false, now = () => performance.now() }: FindOptions = {},
): Promise<Found> {
  const until = now() + budgetMs;
  const newest = await reader.newest();
  let high = Math.min(before ?? newest + 1, newest + 1);
  if (to !== undefined) high = Math.min(high, await firstAt(reader, newest, to + CLOCKS_DIFFER_MS));
  const lowest = from === undefined ? 1 : await firstAt(reader, newest, from - CLOCKS_DIFFER_MS);
  const hits: Hit[] = [];
  for (let step = 0; high > lowest; ) {
    const began = now();
    const size = inOne ? Number.POSITIVE_INFINITY : (WINDOWS[step] as number);
    const low = Math.max(lowest, inOne ? 0 : high - 1 - ((high - 1) % size));
    const seen = high - low;
    const wanted = limit + 1 - hits.length;
    const found = await reader.within(low, high, wanted, size);
    for (const { at, ...hit } of found)
      if ((from === undefined || at >= from) && (to === undefined || at < to)) hits.push(hit);
    if (hits.length > limit) return { hits: hits.slice(0, limit), next: hits[limit - 1]?.id ?? null };
    // Some of a full window's hits were of another time: the rest of it comes next.
    high = found.length === wanted ? (found.at(-1)?.id ?? low) : low;
    const took = now() - began;
    if (took < QUICK_MS && seen * 2 >= size) step = Math.min(step + 1, WINDOWS.length - 1);
    else if (took > SLOW_MS) step = Math.max(step - 1, 0);
    if (now() > until && high > lowest) return { hits, next: high };
  }
  return { hits, next: null };
}

/** The smallest id from which on times are at least this; ids go with times, nearly. */
async function firstAt(reader: WindowReader, newest: number, at: number): Promise<number> {
  let [low, high] = [1, newest + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await reader.at(middle);
    if (found === undefined || found.at < at) low = middle + 1;
    else high = Math.min(middle, found.id);
  }
  return low;
}
