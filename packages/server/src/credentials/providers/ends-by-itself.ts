import { type Clock, isJsonObject, type Json } from '../../platform/index.ts';
import { leaseLimits } from '../leases/limits.ts';
import type { Left, Made, Remaining } from '../leases/types.ts';

/** Between two clocks. */
const SKEW_MS = 60_000;

/** What is kept with the lease of a credential that only its own time ends. */
export const endsAt = (at: number): Json => ({ endsAt: Number.isNaN(at) ? null : at });

/** Of one of which its issuer says when it ends, sooner or later than its lease. */
export const endsWhen = (at: number): Pick<Made, 'revocation' | 'expiresAt'> => ({
  revocation: endsAt(at),
  ...(!Number.isNaN(at) && { expiresAt: at }),
});

/** What remains of it. Where the answer was lost: until the longest life that it may have been given is over. */
export function remainingOf(
  { revocation, makingUntil }: Left,
  {
    clock,
    who,
    why,
    mostSeconds = leaseLimits.maxSeconds,
  }: { clock: Clock; who: string; why: string; mostSeconds?: number },
): Remaining | undefined {
  const known = isJsonObject(revocation) && typeof revocation.endsAt === 'number' ? revocation.endsAt : undefined;
  const until = known ?? makingUntil + mostSeconds * 1_000 + SKEW_MS;
  if (clock.now() >= until) return undefined;
  const lost = `${who}’s answer was lost. If it gave a credential nobody has it, and it ends by itself.`;
  return { until, why: known === undefined ? lost : why };
}
