/** Bounds of the log, with their reasons; documented in docs/reference/limits.md. */
export const ledgerLimits = {
  /** Records that one checkpoint adds at most: what was written while no tree could be made is caught up with in steps of this size. */
  recordsPerCheckpoint: 16_384,
  /** A witness is asked again after this time at the earliest, however fast the log grows. */
  witnessEveryMs: 1_000,
  /** A witness that has not answered by then has failed this time. */
  witnessTimeoutMs: 10_000,
  /** After a failure a witness is asked again after 1 s, then after twice the time before, up to this. */
  witnessRetryMs: 60_000,
  /** Answers of witnesses are a few lines. */
  witnessAnswerBytes: 64 * 1024,
  /** While nothing was cosigned for this long, and cosignatures are not demanded, the newest checkpoint is shown without them. */
  uncosignedShownAfterMs: 10_000,
  /** What is published is brought up to date this often at most. */
  publishEveryMs: 1_000,
  /** Objects that are written at the same time to where the log is published. */
  publishAtOnce: 8,
  /** One object must be written in this time. */
  publishTimeoutMs: 15_000,
  /** After a failure publishing is tried again after 1 s, then after twice the time before, up to this. */
  publishRetryMs: 60_000,
  /** Removals that are taken out of a published log at once. */
  unpublishedAtOnce: 50,
  /** The place is asked this often for other replicas' logs, while something of them, or said by them, is to be taken out. */
  othersLookedAtEveryMs: 5_000,
  /** What another replica has recorded as removed is recorded again where that record is not published beside the log by then. */
  recordedAgainAfterMs: 60_000,
  /** A replica that has not taken removed records out of its published log by then is taken to be gone, and another does it. */
  unpublishForOthersAfterMs: 600_000,
  /** The set of logs is looked at this often, and one that is new is named in the others. */
  namedLogsEveryMs: 30_000,
  /** Records in one answer of an export. */
  exportedAtOnce: 500,
};
