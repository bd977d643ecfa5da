export { createFederationDoors, type DoorAnswer, doorPaths } from './doors.ts';
export { createFederation, createRefusalMeter, type Federation, type Vouched } from './federation.ts';
export { createIssuerKeys, type IssuerKeys } from './issuer-keys.ts';
export { createJoinToken, listJoinTokens, revokeJoinToken, revokeJoinTokensOf } from './join-tokens.ts';
export { federationLimits } from './limits.ts';
export { lintTrustRule } from './lint.ts';
export { audienceOf, isSignedBy, type OutsideToken, readOutsideToken, timeProblem } from './outside-token.ts';
export { listTrustRules } from './rules-view.ts';
export { useProof } from './used-proofs.ts';
