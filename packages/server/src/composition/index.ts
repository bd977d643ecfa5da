export { openChokePoint } from './choke-point.ts';
export { openDirectory } from './directory.ts';
export { openDoors } from './doors.ts';
export { openFoundation } from './foundation.ts';
export { openIdentity } from './identity.ts';
export { openListeners } from './listeners.ts';
export { openProposals } from './proposals.ts';
export type { RunningServer, StartOptions } from './types.ts';
export { openWorkspace } from './workspace.ts';
