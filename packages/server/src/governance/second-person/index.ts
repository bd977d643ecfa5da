export { createPolicyChanges } from './policy-changes.ts';
export { SecondPersonNeeded } from './propose.ts';
export type { PolicyChanges } from './types.ts';
