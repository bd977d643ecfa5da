export { createFederationDoors, type DoorAnswer, doorPaths } from './doors.ts';
export { createFederation, type Federation, type Vouched } from './federation.ts';
export { createJoinToken, listJoinTokens, revokeJoinToken } from './join-tokens.ts';
export { federationLimits } from './limits.ts';
export { lintTrustRule } from './lint.ts';
export { listTrustRules } from './rules-view.ts';
