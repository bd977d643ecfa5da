/** What a filter takes out of a result. */
export type RemovedKind = 'hidden-text' | 'bidi' | 'control' | 'terminal-escape' | 'remote-content' | 'unparsed-markup';

/** What was found in one result: counts and kinds, never the content. */
export interface Tally {
  removed: Map<RemovedKind, number>;
  /** By kind of what was masked: `email`, `github-token`, … */
  masked: Map<string, number>;
  /** What reading its Markdown has taken of what it may; see `parsedMarkdownWork`. */
  markdownWork: number;
}

export const createTally = (): Tally => ({ removed: new Map(), masked: new Map(), markdownWork: 0 });

export function count<K>(counts: Map<K, number>, kind: K, by = 1): void {
  counts.set(kind, (counts.get(kind) ?? 0) + by);
}
