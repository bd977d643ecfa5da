export { createBreakGlass } from './break-glass.ts';
export { fenceOf, type HeldBreakGlass } from './rows.ts';
export type { BreakGlassDependencies, BreakGlasses } from './types.ts';
