export { type KillDependencies, killAgent } from './kill.ts';
