export { createGrants, fenceOf, notAlone, type StandingGrants } from './grants.ts';
export { counterOf, type HeldGrant } from './rows.ts';
