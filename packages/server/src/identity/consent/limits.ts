export const confirmationLimits = {
  /** A question of the command line waits this long for its person, who sits in front of it. */
  openMs: 10 * 60_000,
  /** A yes is good for this long, and once: the command line repeats its request at once. */
  confirmedMs: 10 * 60_000,
  /** Questions of one session of the command line in 10 minutes, whatever became of them: nobody is worn down by more. */
  askedPerSession: 20,
  /** Bytes of what is shown of one request. What nobody reads through nobody can confirm. */
  shownBytes: 256 * 1024,
} as const;
