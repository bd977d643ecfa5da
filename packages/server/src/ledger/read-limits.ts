/** How reading the record is recorded, with reasons; documented in docs/reference/limits.md. */
export const readLimits = {
  /** What somebody reads of one kind within this is counted in one record, after the first look. */
  windowMs: 300_000,
  /** Different searches that are named in that count; the others are counted. */
  queriesNamed: 10,
  /** People and things whose looks are counted at once: beyond this the counts are written early. */
  windows: 1_000,
};
