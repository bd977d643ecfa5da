/** Limits of the delivery to receivers of the record. */
export const exportLimits = {
  /** How long a replica delivers to a sink without renewing; then another one goes on. */
  leaseMs: 8_000,
  /** How often it renews, and how often others look. */
  renewMs: 2_000,
  /** Between two looks at the log when there was nothing new. */
  pollMs: 500,
  /** What the thread that reads and encodes may take for a batch, those before it included; then it is given up and begun anew. */
  readTimeoutMs: 60_000,
  /** The longest rest after a batch of a backlog; it is a quarter of what the batch took. */
  restMs: 50,
  /** The first wait after a failure; it doubles, with chance, up to the longest. */
  firstRetryMs: 1_000,
  longestRetryMs: 60_000,
  /** What a receiver may ask for with `Retry-After`. */
  longestRetryAfterMs: 3_600_000,
  /** Text of one batch, encoded; a batch ends before it would be larger. */
  batchBytes: 4 * 1024 * 1024,
  /** One encoded record. A larger one is set aside: no receiver takes it. */
  recordBytes: 1024 * 1024,
  /** Of an answer that is kept as the reason of a failure. */
  problemChars: 300,
  /** Sinks of one workspace: each has a loop and connections of its own. */
  sinks: 32,
} as const;
