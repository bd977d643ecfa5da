import { flowLimits } from './limits.ts';

/** Characters that may still be gone through for one call. */
export interface Effort {
  left: number;
}

/** False: it is used up, and what was looked for counts as what it would be at worst. */
export function spend(effort: Effort, chars: number): boolean {
  if (effort.left >= 0) effort.left -= chars;
  return effort.left >= 0;
}

export const newEffort = (): Effort => ({ left: flowLimits.searchedChars });

/** Characters of a plain search that one of a search by pattern counts as. */
export const PATTERN_COST = 4;
/** The same of one that goes on character by character. */
export const STEPWISE_COST = 10;
