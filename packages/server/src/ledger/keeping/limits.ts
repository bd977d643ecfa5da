/** Bounds of keeping and erasing, with their reasons; documented in docs/reference/limits.md. */
export const keepingLimits = {
  /** Holds that have not ended: each is looked at for each body that would go. */
  holds: 500,
  /** Erasures that wait or run. */
  erasures: 100,
  /** Actions of one transaction, so that the gate's own writes wait only for a moment. */
  actionsAtOnce: 100,
  /** Records that are looked at for one transaction of an erasure. */
  recordsAtOnce: 500,
  /** Records of one removal: each is named in the record that says so. */
  recordsOfRemoval: 2_000,
  /** How long one look at what an erasure would take goes on. Then it says where the next one does. */
  previewMs: 2_000,
  /** Records that are gone already and are passed over at once. */
  recordsSkipped: 5_000,
  /** A clock that went on by more since the last turn is taken to be wrong, or the server to have been away. */
  clockLeapMs: 7 * 86_400_000,
  /** How long no record goes after that. */
  pauseAfterLeapMs: 86_400_000,
  /** Between the record that says what goes and its going: people can see it, and a clock can be put back. Then all is judged again. */
  announcedMs: 86_400_000,
  /** The clocks of server and database, and the newest records, may differ by so much; where they do by more, nothing goes by its age. */
  clocksApartMs: 300_000,
  /** How often they are compared. */
  clocksComparedMs: 60_000,
  /** How exactly the time of the last turn is known. */
  clockNotedMs: 600_000,
  /** Records that are read at once to know what stands on record. */
  recordsRead: 1_000,
  /** After a log was not what was signed: reading it anew takes long. */
  recordReadAgainMs: 600_000,
  /** Removals that are shown. */
  removalsShown: 100,
  /** Transactions of one turn, every five seconds. */
  batchesOfTurn: 20,
};
