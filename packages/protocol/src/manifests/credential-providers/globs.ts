/** Patterns as IAM reads them: `*` is any text, `?` is one character. */

/**
 * Whether all that `inner` matches is matched by `outer`; false where that can't be said for sure. In an ARN, a `*` that does not end its part (before
 * a colon, or at the end) counts as staying within it, as AWS says that it may.
 */
export function isGlobWithin(inner: string, outer: string): boolean {
  /** Where of `outer` one may be, after each symbol of `inner`. */
  let places = pastStars(new Set([0]), outer);
  for (let at = 0; at < inner.length; at++) {
    const symbol = inner[at] as string;
    const next = new Set<number>();
    for (const place of places) {
      const wanted = outer[place];
      if (wanted === '*' && (isWide(outer, place) || !mayCross(inner, at))) next.add(place);
      else if (symbol === '*') continue;
      else if (wanted === '?' ? symbol !== ':' : wanted === symbol && symbol !== '?') next.add(place + 1);
    }
    places = pastStars(next, outer);
  }
  return places.has(outer.length);
}

/** A `*` may be nothing at all. */
function pastStars(places: Set<number>, outer: string): Set<number> {
  for (const place of places) if (outer[place] === '*') places.add(place + 1);
  return places;
}

/** It may go on over colons. */
const isWide = (pattern: string, at: number): boolean => {
  const after = pattern[at + 1];
  return after === undefined || after === ':' || after === '*';
};

/** What stands here may be a colon. */
const mayCross = (pattern: string, at: number): boolean => {
  const symbol = pattern[at];
  return symbol === ':' || symbol === '?' || (symbol === '*' && isWide(pattern, at));
};
