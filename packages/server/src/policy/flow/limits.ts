export const flowLimits = {
  /**
   * Characters that are kept of what one task has read (about three for each of a result), to find where a value came from. A task that has read
   * more has forgotten: what its results are trusted for then counts as unknown.
   */
  charsPerTask: 4_194_304,
  /** The same of all tasks of a replica. The task that was longest without a call is forgotten first. */
  charsInAll: 67_108_864,
  /** Values in trusted fields, and in untrusted fields that have a role, that are kept of one task. */
  valuesPerTask: 20_000,
  /** Values looked at in one result, and levels of it. What lies deeper or comes later makes the task forget. */
  valuesPerResult: 50_000,
  depth: 64,
  /** Characters of a value that can be found: a longer one comes from nowhere known. */
  valueChars: 4_096,
  /** Characters of a text in a call that are compared with what was read: a longer one counts as if it repeated it. */
  contentChars: 65_536,
  /** Addresses and URLs in one text of a call that are looked for: one that has more counts as if it repeated what was read. */
  valuesPerContent: 100,
  /** Values with a role in one call: one that has more comes from nowhere known. */
  valuesPerCall: 200,
  /** Characters of what was read that are gone through for one call: what is looked for after that counts as untrusted. */
  searchedChars: 200_000_000,
  /** Numbers of one result that are read as amounts: one that has more may say any. */
  amountsPerResult: 50_000,
  /** Characters of a result in which encoded values are looked for. */
  decodedChars: 262_144,
  /** Encoded words of one result that are read as what they stand for, and characters of one. */
  encodedWords: 500,
  encodedChars: 16_384,
  /** Values that people have endorsed in one task, and calls that one of them covers: then it is asked about again. */
  endorsementsPerTask: 100,
  callsPerEndorsement: 100,
  /** Values of one argument that an approver can choose from, and characters of one. */
  heldValues: 20,
  heldChars: 512,
  /** Tasks whose labels are in memory. */
  tasks: 50_000,
  /**
   * Hours for which the texts that an agent's tasks have read are looked through for values of tasks that it starts by itself, and for which what
   * it has seen counts in tasks that a person consents to. What a task starts with that nobody stands behind is kept without end.
   */
  agentHours: 48,
  /** Tasks of one agent whose texts are looked through for the others. When there are more, no result vouches for anything in these. */
  tasksPerAgent: 200,
  /** Days for which what was seen and endorsed is kept after the end of a task. */
  keptDays: 30,
} as const;
