export { type ApplyDependencies, applyWorkspace } from './apply-workspace.ts';
export { endExpiredTasks } from './expired-tasks.ts';
export { type KillDependencies, killAgent } from './kill.ts';
export { createDepartures, type OffboardDependencies, type Offboarding, offboard } from './offboard.ts';
