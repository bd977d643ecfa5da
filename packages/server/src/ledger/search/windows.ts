import type { Find, Found, Hit } from './types.ts';

/** The first window is small, as most searches are answered by what was just recorded; what finds little grows. */
const FIRST_WINDOW = 16_384;
const LARGEST_WINDOW = 1_048_576;
const GROWTH = 4;
/** One that is looked through in less lets the next be larger; one that takes more has it smaller, so that a page ends in time. */
const QUICK_MS = 4;
const SLOW_MS = 12;
/** Clocks of replicas may differ by this much, and so may the order of their records from that of their times. */
const CLOCKS_DIFFER_MS = 300_000;

export interface WindowReader {
  /** Of the newest document with an id of at most this. */
  at(id: number): Promise<{ id: number; at: number } | undefined>;
  newest(): Promise<number>;
  /** Hits in `[low, high)`, greatest id first. */
  within(low: number, high: number, limit: number): Promise<(Hit & { at: number })[]>;
}

/**
 * Looks back from the newest document, window by window, until the page is full or its time is up: then the cursor stands where it has
 * come to. So a page costs about the same in a log of any length, whatever is asked for together.
 */
export async function findByWindows(
  reader: WindowReader,
  { from, to, before, limit, budgetMs }: Find,
  /** `Infinity` where so little fits that all of it is looked at together. */
  firstWindow = FIRST_WINDOW,
  now = () => performance.now(),
): Promise<Found> {
  const until = now() + budgetMs;
  const newest = await reader.newest();
  let high = Math.min(before ?? newest + 1, newest + 1);
  if (to !== undefined) high = Math.min(high, await firstAt(reader, newest, to + CLOCKS_DIFFER_MS));
  const lowest = from === undefined ? 1 : await firstAt(reader, newest, from - CLOCKS_DIFFER_MS);
  const hits: Hit[] = [];
  for (let size = firstWindow; high > lowest; ) {
    const began = now();
    const low = Math.max(lowest, high - size);
    const wanted = limit + 1 - hits.length;
    const found = await reader.within(low, high, wanted);
    for (const { at, ...hit } of found)
      if ((from === undefined || at >= from) && (to === undefined || at < to)) hits.push(hit);
    if (hits.length > limit) return { hits: hits.slice(0, limit), next: hits[limit - 1]?.id ?? null };
    // Some of a full window's hits were of another time: the rest of it comes next.
    high = found.length === wanted ? (found.at(-1)?.id ?? low) : low;
    const took = now() - began;
    if (took < QUICK_MS) size = Math.min(size * GROWTH, LARGEST_WINDOW);
    else if (took > SLOW_MS) size = Math.max(Math.floor(size / GROWTH), FIRST_WINDOW);
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
