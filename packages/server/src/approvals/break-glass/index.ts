export { type BreakGlassDependencies, type BreakGlasses, createBreakGlass, fenceOf } from './break-glass.ts';
export type { HeldBreakGlass } from './rows.ts';
