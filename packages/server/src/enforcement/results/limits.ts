/** Limits of what is looked at in a tool's result, with their reasons. Documented in docs/reference/limits.md; each has a test. */
export const resultLimits = {
  /** HTML in a longer text is not read by its tokens: every tag is made plain text instead. */
  parsedHtmlChars: 1024 * 1024,
  /** Markdown in a longer text is not parsed, which takes seconds where somebody means it to: every image is made plain text instead. */
  parsedMarkdownChars: 64 * 1024,
  /**
   * The same once the texts of one result have used this up: a unit for what the parser goes through in vain (brackets, spaces and markers that
   * nothing closes, by the square of their number), and so many for each character.
   */
  parsedMarkdownWork: 20_000_000,
  parsedMarkdownWorkPerChar: 20,
  /** Hidden characters of one text of which each is looked at with what stands around it. Of more, none is needed for writing. */
  weighedCharacters: 10_000,
  /** Life of a result that waits for a person, until it has been asked about; then that of the question. */
  heldSeconds: 900,
  /** Results of one agent that wait for a person, and their bytes: what is kept must not grow without bound. */
  heldPerAgent: 20,
  heldBytesPerAgent: 64 * 1024 * 1024,
  /** Texts of one result, and characters of all of them, that a detector of the operator is sent. What has more was not looked at. */
  detectorTexts: 1_000,
  detectorChars: 262_144,
  /** Bytes of its answer, findings in it, and pieces that they name: more is no answer. */
  detectorAnswerBytes: 262_144,
  detectorFindings: 1_000,
  detectorSpans: 10_000,
  /** Results that one detector is asked about at once by a replica, and that wait for their turn. The next is not looked at. */
  detectorCalls: 4,
  detectorWaiting: 64,
  /** Findings of sensitive data in one text that are masked one by one; a text with more is withheld whole. */
  findingsPerText: 10_000,
} as const;
