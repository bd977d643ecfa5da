import { oauthLimits } from '../oauth/index.ts';

/** Bounds of accounts that people let agents use. */
export const accountLimits = {
  ...oauthLimits,
  /** Of one person. */
  perPerson: 200,
  /** What is asked for is answered in this time: a lease waits no longer. */
  oauthTimeoutMs: 6_000,
  /** A task waits so long for a renewal that another has begun. */
  waitMs: 7_000,
  /** An access token that lives longer and that nobody can end is not used. */
  tokenSeconds: 24 * 60 * 60,
  /** Where a system does not say for how long its tokens live. */
  usualTokenSeconds: 60 * 60,
  /** Between two attempts at revoking one, doubled from the first to the last. */
  retryFirstMs: 5_000,
  retryMostMs: 60 * 60_000,
  /** How often that is tried where the provider is gone or has moved. */
  formerAttempts: 24,
  /** Between two looks for accounts that nobody may use any more, beside those after each change. */
  sweepMs: 10 * 60_000,
};
