export { createPolicyChanges, type PolicyChanges, SecondPersonNeeded } from './policy-changes.ts';
