import { z } from 'zod';

/** As Redis matches keys and channels: `*` any characters, `?` one. Without its classes and escapes, so that what is within what is decided exactly enough. */
export const redisPattern = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[!-Z^-~]+$/, 'is of visible ASCII characters, with `*` and `?` but without [ ] and \\');

/**
 * Whether each text that `narrow` matches is one that `wide` matches. Never wrongly true: what of `narrow` stands for many texts is taken by a `*` of
 * `wide` as a whole, or not at all. It may be false of some that are within, such as `?*` and `*?`.
 */
export function isWithinPattern(narrow: string, wide: string): boolean {
  /** Whether the rest of `narrow` from each place is within the rest of `wide`. */
  let rests: boolean[] = [...narrow, ''].map((_, at) => at === narrow.length);
  for (const sign of [...wide].reverse()) {
    const next: boolean[] = new Array(narrow.length + 1).fill(false);
    for (let at = narrow.length; at >= 0; at--) {
      const own = narrow[at];
      next[at] =
        sign === '*'
          ? rests[at] === true || (own !== undefined && next[at + 1] === true)
          : own !== undefined && own !== '*' && (sign === '?' || sign === own) && rests[at + 1] === true;
    }
    rests = next;
  }
  return rests[0] === true;
}
