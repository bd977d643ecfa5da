export const rehearsalLimits = {
  /** Replays at once on one server; each has a thread of its own. */
  replaysAtOnce: 1,
  /** Looks at once at what observed policies would have done, beside a replay: they take seconds, and a replay up to half an hour. */
  observedAtOnce: 2,
  /** Decisions read at a time by a replay. */
  replayBatch: 2_000,
  /** Tasks, and agents, that a replay keeps in memory. */
  replayKept: 50_000,
  /** Names counted in each dimension of a difference (agents, tools …); the rest is counted together. */
  countedNames: 2_000,
  /** Of those, listed. */
  listedNames: 20,
  /** Examples of one kind of difference with the same agent, tool and reason. */
  examplesAlike: 3,
  /** A replay ends with an error after this time. */
  replayTimeoutMs: 30 * 60_000,
} as const;
