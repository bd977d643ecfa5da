export const secondPersonLimits = {
  /** Proposals that wait at once. */
  openProposals: 50,
  /** Life of a proposal that nobody decides. */
  proposalTtlMs: 7 * 24 * 3_600_000,
  /** Bytes of what a proposal would change, with its manifests. */
  proposalBytes: 4 * 1024 * 1024,
  /** Time that the replay of a new proposal looks back. */
  replayedMs: 30 * 24 * 3_600_000,
  /** It is given up after this time; whoever looks at the proposal can ask for it again. */
  replayedWithinMs: 10 * 60_000,
  /** Who was about to lose the role or the passkey to ship with counts among those who could have for this long. */
  formerDecidersMs: 7 * 24 * 3_600_000,
} as const;
