import type { BudgetCounter, BudgetManifest } from '@gatehouse/protocol';

type Used = BudgetCounter['used'][number];

/** In percent. What is allowed none of is full from the start. */
export function percentOf({ used, of }: Pick<Used, 'used' | 'of'>): number {
  const [part, whole] = [Number(used), Number(of)];
  if (whole === 0) return 100;
  const percent = (part / whole) * 100;
  return Number.isFinite(percent) ? percent : 0;
}

/** `40.00 of 500.00 EUR` */
export const usedWords = ({ used, of, unit }: Used): string => `${used} of ${of} ${unit}`;

/** Why a counter has no time at which it starts again. */
export function restartWords({ window }: Pick<BudgetManifest, 'window'>): string {
  if (window === undefined) return 'when a running call ends';
  if (window === 'task') return 'never within its task';
  if (typeof window === 'object') return `all the time: the last ${window.seconds.toLocaleString('en')} s count`;
  return 'with the next call';
}
