export { createGrants, fenceOf } from './grants.ts';
export { counterOf, type HeldGrant } from './rows.ts';
export { notAlone } from './terms.ts';
export type { StandingGrants } from './types.ts';
