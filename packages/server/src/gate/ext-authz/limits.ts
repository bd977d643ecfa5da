/** Limits of the ext_authz doors, with their reasons; documented in docs/reference/limits.md. */
export const extAuthzLimits = {
  /** The body of the checked request, as far as Envoy sends it. A larger one is refused: what is not seen is not decided on. */
  bodyBytes: 1024 * 1024,
  /** One gRPC message: the body, with headers and what else Envoy says of the request. */
  messageBytes: 2 * 1024 * 1024,
  /** Path and query of the checked request. */
  pathChars: 4_096,
  /** Checks of one connection that run at once; Envoy sends all of a worker over one. */
  streamsPerConnection: 1_000,
} as const;
