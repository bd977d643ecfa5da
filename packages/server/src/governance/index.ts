export { type ApplyDependencies, applyWorkspace } from './apply-workspace.ts';
export { endExpiredTasks } from './expired-tasks.ts';
export { type KillDependencies, killAgent, killWorkload } from './kill.ts';
export { createDepartures, type OffboardDependencies, type Offboarding, offboard } from './offboard.ts';
export { createRehearsals, createReplayThreads, type Rehearsals } from './rehearsal/index.ts';
export { createPolicyChanges, type PolicyChanges, SecondPersonNeeded } from './second-person/index.ts';
export { secondPersonLimits } from './second-person/limits.ts';
