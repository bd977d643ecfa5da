export { createEnforcement, type EnforcementDependencies } from './enforce.ts';
export * from './types.ts';
