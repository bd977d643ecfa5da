export { createAbandonedLogs } from './abandoned-logs.ts';
export {
  type Applied,
  type ApplyDependencies,
  applyWorkspace,
  askWithCredentials,
  rehearseWorkspace,
} from './apply-workspace.ts';
export { hasEnded, wouldEnd } from './ended-credentials.ts';
export { makeEvidence } from './evidence/index.ts';
export { createFollower, type FollowDependencies } from './follow.ts';
export { keepHouse } from './housekeeping.ts';
export { type KillDependencies, killAgent, killWorkload } from './kill.ts';
export { createDepartures, type OffboardDependencies, type Offboarding, offboard } from './offboard.ts';
export { createRehearsals, createReplayThreads, type Rehearsals } from './rehearsal/index.ts';
export { createPolicyChanges, type PolicyChanges, SecondPersonNeeded } from './second-person/index.ts';
export { replayProposal } from './second-person/replay-proposal.ts';
export { traceTask } from './trace/index.ts';
