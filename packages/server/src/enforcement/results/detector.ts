/** A piece of sensitive data in a text. */
export interface Finding {
  /** What it is, as placeholders name it: `email`, `iban`, `github-token`. */
  kind: string;
  /** Slugs of sensitive data that it belongs to: `credentials`, `personal`, `financial`. */
  sensitive: readonly string[];
  from: number;
  to: number;
}

/** Finds sensitive data in a text. Made so that its time grows with the text's length and no faster. */
export interface Detector {
  name: string;
  /** Kinds that it can find: it is asked only when one of them is to be masked. */
  sensitive: readonly string[];
  detect(text: string): Finding[];
}
