export { type ApplyDependencies, applyWorkspace } from './apply-workspace.ts';
export { endExpiredTasks } from './expired-tasks.ts';
export { type KillDependencies, killAgent } from './kill.ts';
