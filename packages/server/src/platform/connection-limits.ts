/** Bounds of a connection, with their reasons; documented in docs/reference/limits.md. */
export const connectionLimits = {
  /** A client that has not said what it wants by then is cut off. */
  headersTimeoutMs: 15_000,
  /** Longer than clients keep idle connections: who closes last never meets a request on its way. */
  keepAliveMs: 75_000,
  /** A client that opens a connection and does not finish its TLS handshake is cut off. */
  handshakeTimeoutMs: 10_000,
  /** Certificate files are looked at, and a certificate of our own is replaced when it is due, this often. */
  certificateCheckMs: 10_000,
  /** What a killed agent's calls are told is still sent over its connections; then they end. */
  lastWordsMs: 1_000,
};
