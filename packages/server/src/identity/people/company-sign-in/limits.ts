export const companySignInLimits = {
  /** Time to sign in at the provider, second factor included. */
  signInTtlMs: 10 * 60_000,
  /** Sign-ins under way in the whole workspace: anybody can begin one, and of more the oldest give way. */
  signInsUnderWay: 5_000,
  /** Of those that give way, this many go when another one begins. */
  sweptAtOnce: 100,
  /** How long a provider's metadata is used before it is asked again. */
  metadataTtlMs: 10 * 60_000,
  /** A provider's keys are fetched again for one that is not among them, but not more often than this. */
  keysAgainMs: 10_000,
  /** Time for one call to a provider. */
  callTimeoutMs: 5_000,
  /** One answer of a provider, and one logout token. */
  answerBytes: 256 * 1024,
  /** Groups of a person that are looked at. */
  groups: 500,
  /** A provider's clock may be off by this much. */
  clockToleranceSeconds: 60,
} as const;
