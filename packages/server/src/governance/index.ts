export { type ApplyDependencies, applyWorkspace } from './apply-workspace.ts';
export { type KillDependencies, killAgent } from './kill.ts';
