export { createRehearsals, type Rehearsals } from './rehearsals.ts';
export { createReplayThreads } from './thread.ts';
