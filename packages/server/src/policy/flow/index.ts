export { coveredBy } from './endorsements.ts';
export { createFlow, type Flow, type Reader, SENSITIVE, type SeenView, UNTRUSTED } from './flow.ts';
export { flowLimits } from './limits.ts';
export type { Origin } from './origin.ts';
export { mostCareful } from './parts.ts';
export { flowArgumentNames, flowArguments, flowGroups, flowGroupsOf, reachesNobody } from './roles.ts';
export { FLOW_RULES, flowRules } from './rules.ts';
