/** Bounds of searching the record, with their reasons; documented in docs/reference/limits.md. */
export const searchLimits = {
  /** Records or actions on a page. */
  pageItems: 200,
  /** A page looks back for this long. Then it is given out as it is, with the cursor at which the next one goes on. */
  pageBudgetMs: 50,
  /** Words of one search, each of which has to be in the record. */
  words: 10,
  /** Labels of one search. */
  labels: 5,
  /** Words of one record that are searched; those after them are not. */
  wordsOfRecord: 96,
  /** Longer words are found by their beginning. */
  wordCharacters: 32,
  /** The shortest beginning of a word that can be asked for (`refu*`). */
  prefixCharacters: 3,
  /** What was recorded is looked for, and made findable, this often; a search does it at once. */
  indexEveryMs: 250,
  /** Records that a search makes findable before it looks. */
  indexBeforeSearch: 1_000,
  /** A thread that has not answered by then is given up, and another is started. */
  answerMs: 60_000,
};
