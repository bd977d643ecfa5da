/** Limits of what is looked at in a tool's result, with their reasons. Documented in docs/reference/limits.md; each has a test. */
export const resultLimits = {
  /** HTML in a longer text is not read by its tokens: every tag is made plain text instead. */
  parsedHtmlChars: 1024 * 1024,
  /** Markdown in a longer text is not parsed, which takes seconds where somebody means it to: every image is made plain text instead. */
  parsedMarkdownChars: 64 * 1024,
  /** The same for a shorter one whose blocks are long and full of brackets, for which the parser's time grows with the square. */
  parsedMarkdownWork: 20_000_000,
  /** Hidden characters of one text of which each is looked at with what stands around it. Of more, none is needed for writing. */
  weighedCharacters: 10_000,
  /** Life of a result that waits for a person, until it has been asked about; then that of the question. */
  heldSeconds: 900,
  /** Results of one agent that wait for a person, and their bytes: what is kept must not grow without bound. */
  heldPerAgent: 20,
  heldBytesPerAgent: 64 * 1024 * 1024,
  /** Findings of sensitive data in one text that are masked one by one; a text with more is withheld whole. */
  findingsPerText: 10_000,
} as const;
