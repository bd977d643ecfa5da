import { leaseLimits } from './limits.ts';

/** An end that a lease can't go beyond, with the words for people. */
export interface Bound {
  at: number;
  why: string;
}

export interface Lifetime {
  expiresAt: number;
  /** Which bounds made it shorter than was asked for, or than its provider usually gives. */
  clamped: string[];
}

/** What a lease that is issued now is never to go beyond, however often it is renewed. `agentSeconds`: what its agent's owner allows. */
export const boundsOf = (
  now: number,
  { maxSeconds, agentSeconds }: { maxSeconds: number; agentSeconds?: number | undefined },
  until: readonly Bound[],
): Bound[] => [
  { at: now + leaseLimits.maxSeconds * 1_000, why: `no lease lives longer than ${leaseLimits.maxSeconds} s` },
  { at: now + maxSeconds * 1_000, why: `the provider allows ${maxSeconds} s` },
  ...(agentSeconds === undefined ? [] : [{ at: now + agentSeconds * 1_000, why: agentAllows(agentSeconds) }]),
  ...until,
];

export const agentAllows = (seconds: number): string => `the agent's owner allows ${seconds} s`;

/**
 * When a lease ends: so long from now as was asked for, or as its provider usually gives, and no later than any bound allows. Shorter than that is
 * said, never hidden. Undefined where less would be left than a call takes.
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
  return { expiresAt, clamped: bounds.filter(({ at }) => at < wanted).map(({ why }) => why) };
}
