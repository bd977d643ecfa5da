/** Bounds of just-in-time credentials, with their reasons; documented in docs/reference/limits.md. */
export const leaseLimits = {
  /** No lease lives longer, whatever a provider, a task or a policy says (law 3). */
  maxSeconds: 60 * 60,
  /** One that would live shorter is not issued: it would end before its call does. */
  minSeconds: 5,
  /** What is asked for is issued in this time, or not at all. What the provider makes later is found and ended. */
  createMs: 10_000,
  /** One attempt at ending a lease. */
  revokeMs: 15_000,
  /** Live leases of one task: an agent must not fill a database with accounts. */
  perTask: 50,
  /** Of the key under which a lease is asked for once. */
  idempotencyKeyCharacters: 200,
  /** Between two attempts at ending a lease: doubled from the first to the last, with up to a quarter more by chance. */
  retryFirstMs: 1_000,
  retryMostMs: 30_000,
  /** After so many attempts that failed a lease counts as stuck, and people are told. Attempts go on. */
  stuckAfter: 5,
  /** Leases of one provider that are ended at the same time. */
  revokedAtOnce: 8,
  /** Due leases that are read at once. */
  dueAtOnce: 200,
  /** Read at once, as all that may be used is judged again by changed policies; others work in between, after so many ms. */
  judgedAtOnce: 200,
  judgedTurnMs: 10,
  /** What could not be judged, or has changed meanwhile, is judged once more after so long. */
  judgedAgainMs: 1_000,
  /** An apply waits so long until it says what it has ended. */
  judgedWaitMs: 5_000,
  /** Looked at to say how many a change would end. */
  foreseenMost: 10_000,
  /** Between two looks at whether what may be used is as it was left: what was changed in the database is ended by then. */
  lookMs: 60_000,
  /** Read at once for that; others work in between. */
  lookedAtOnce: 200,
  /** One for a single call that was made and is in no call by then was left by a server that died. */
  unusedMs: 60_000,
  /** No attempt at ending one is put off for longer, unless a seal says so: whoever finds one has it tried now. */
  unlookedMs: 120_000,
  /** By so much more at most clocks that are set back, or those of two replicas that are five minutes apart, put one off. More is an alarm. */
  putOffMs: 330_000,
  /** Records that are looked through at once for what was issued, and in one look in all: a long record takes several. */
  recordsAtOnce: 5_000,
  recordsOfALook: 500_000,
  /** Of what is not over, read at once. */
  idsAtOnce: 5_000,
  /** Of which a replica keeps what ending them takes, in case that is removed from the database. */
  keptAtMost: 10_000,
  /** Less than this left: another is issued ahead of a call. */
  renewBeforeMs: 30_000,
  /** `kill` waits so long until credentials are verified to be gone, and says what is left. */
  killWaitMs: 1_000,
  /** Of what a provider said when it failed. */
  problemCharacters: 240,
};
