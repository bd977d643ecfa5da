export { nestingProblem } from './cedar/index.ts';
export { compilePolicies } from './compile.ts';
export { type Feature, featureSubject, features } from './schema.ts';
export type * from './types.ts';
