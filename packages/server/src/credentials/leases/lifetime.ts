import { leaseLimits } from './limits.ts';

/** An end that a lease can't go beyond, with the words for people. */
export interface Bound {
  at: number;
  why: string;
}

export interface Lifetime {
  expiresAt: number;
  /** Which bounds made it shorter than was asked for. */
  clamped: string[];
}

/** What a lease that is issued now is never to go beyond, however often it is renewed. */
export const boundsOf = (now: number, { maxSeconds }: { maxSeconds: number }, until: readonly Bound[]): Bound[] => [
  { at: now + leaseLimits.maxSeconds * 1_000, why: `no lease lives longer than ${leaseLimits.maxSeconds} s` },
  { at: now + maxSeconds * 1_000, why: `the provider allows ${maxSeconds} s` },
  ...until,
];

/**
 * When a lease ends: so long from now as was asked for, and no later than any bound allows. Shorter than asked is said, never hidden. Undefined
 * where less would be left than a call takes.
 */
export function lifetimeOf(
  now: number,
  askedSeconds: number | undefined,
  { defaultSeconds }: { defaultSeconds: number },
  bounds: readonly Bound[],
): Lifetime | undefined {
  const wanted = now + (askedSeconds ?? defaultSeconds) * 1_000;
  const expiresAt = Math.min(wanted, ...bounds.map(({ at }) => at));
  if (expiresAt - now < leaseLimits.minSeconds * 1_000) return undefined;
  const clamped = askedSeconds === undefined ? [] : bounds.filter(({ at }) => at < wanted).map(({ why }) => why);
  return { expiresAt, clamped };
}
