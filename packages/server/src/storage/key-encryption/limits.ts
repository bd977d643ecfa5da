/** Bounds of what gives the key-encryption key, with their reasons; documented in docs/reference/limits.md. */
export const keyEncryptionLimits = {
  /** A command that prints the key may have to ask a person to unlock it; the server starts after it. */
  commandTimeoutMs: 60_000,
  /** Standard output of that command: a key is 44 characters, and what says more is no key. */
  commandOutputBytes: 4_096,
  /** One request to a key service. */
  serviceTimeoutMs: 10_000,
  /** One answer of a key service. */
  serviceAnswerBytes: 64 * 1024,
  /** Values that `keys rewrap` seals anew in one transaction, which everything else that writes waits for. */
  rewrapBatch: 50,
};
