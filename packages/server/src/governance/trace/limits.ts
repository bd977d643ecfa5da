/** Bounds of a trace, with their reasons; documented in docs/reference/limits.md. */
export const traceLimits = {
  /** Records that are read of one task: the latest. */
  recordsOfTask: 6_000,
  /** Tasks of one trace: itself and what was handed on from it. */
  tasks: 100,
  /** Records of all of its tasks. */
  records: 20_000,
};
