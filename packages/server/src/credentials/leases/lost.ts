import { leaseLimits } from './limits.ts';
import { type LeaseRow, nameOf } from './rows.ts';
import type { Left, Provider, Remaining } from './types.ts';

/** Between two clocks. */
const SKEW_MS = 60_000;

/** What its provider gave for ending it went with its row: it lives as long as any may, and a person can end it sooner. */
export function lost(
  { id, provider }: LeaseRow,
  { makingUntil }: Left,
  remaining: Awaited<ReturnType<Provider['revoke']>>,
): Remaining {
  const most = makingUntil + leaseLimits.maxSeconds * 1_000 + SKEW_MS;
  return {
    until: Math.max(most, remaining?.until ?? 0),
    why: `What ending it takes was removed from the database, and ${provider} can’t be asked without. Somebody has to end ${nameOf(id)} there; else it works until its time is over.`,
  };
}

/** Not even where it was made is known: it is declared elsewhere now, or no more. */
export const gone = ({ id, provider }: LeaseRow): Error =>
  new Error(
    `What ending it takes was removed from the database, and ${provider} is declared elsewhere now, or no more. Somebody has to end ${nameOf(id)} where it was made, and then two give it up.`,
  );
