/** Limits of the door for credentials that agents use themselves, with their reasons; documented in docs/reference/limits.md. */
export const credentialDoorLimits = {
  /** A request body: what a provider is asked for is short. */
  bodyBytes: 64 * 1024,
  /** Between two looks at whether somebody has approved it; no client needs to hear of it sooner. */
  retrySeconds: 5,
} as const;
