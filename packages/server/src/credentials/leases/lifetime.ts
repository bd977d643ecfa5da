import { leaseLimits } from './limits.ts';

export interface Lifetime {
  expiresAt: number;
  /** Which bounds made it shorter than was asked for. */
  clamped: string[];
}

/**
 * When a lease ends: after what was asked for, and no later than any bound allows. Shorter than asked is said, never hidden. Undefined where
 * less would be left than a call takes.
 */
export function lifetimeOf(
  now: number,
  askedSeconds: number | undefined,
  provider: { defaultSeconds: number; maxSeconds: number },
  until: readonly { at: number; why: string }[],
): Lifetime | undefined {
  const wanted = now + (askedSeconds ?? provider.defaultSeconds) * 1_000;
  const bounds = [
    { at: now + leaseLimits.maxSeconds * 1_000, why: `no lease lives longer than ${leaseLimits.maxSeconds} s` },
    { at: now + provider.maxSeconds * 1_000, why: `the provider allows ${provider.maxSeconds} s` },
    ...until,
  ];
  const expiresAt = Math.min(wanted, ...bounds.map(({ at }) => at));
  if (expiresAt - now < leaseLimits.minSeconds * 1_000) return undefined;
  const clamped = askedSeconds === undefined ? [] : bounds.filter(({ at }) => at < wanted).map(({ why }) => why);
  return { expiresAt, clamped };
}
