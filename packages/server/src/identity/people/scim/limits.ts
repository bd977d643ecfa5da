export const scimLimits = {
  /** One request of a directory: a group of some ten thousand members at once. */
  bodyBytes: 2 * 1024 * 1024,
  /** Resources on one page; the rest follows with `startIndex` (RFC 7644 §3.4.2.4). */
  pageSize: 200,
  /** Resources that one filter is matched against which no index serves; where there are more it is refused. */
  filtered: 20_000,
  /** Resources that are read at once to match such a filter: what one request keeps in memory. */
  readAtOnce: 500,
  /** Characters of a filter. */
  filterChars: 2_000,
  /** Names in `attributes` or `excludedAttributes`. */
  projectedAttributes: 100,
  /** Groups, in parentheses or brackets, of one filter or path: they are multiplied out. */
  filterGroups: 4,
  /** Comparisons in one filter or path. */
  filterTerms: 12,
  /** Characters of a path in a PATCH. */
  pathChars: 500,
  /** Operations of one PATCH. */
  patchOperations: 1_000,
  /** Bearers of directories in the workspace. */
  tokens: 50,
} as const;
