export { coveredBy } from './endorsements.ts';
export { createFlow } from './flow.ts';
export { flowLimits } from './limits.ts';
export type { Origin } from './origin.ts';
export { mostCareful } from './parts.ts';
export { SENSITIVE, UNTRUSTED } from './result-labels.ts';
export { flowArgumentNames, flowArguments, flowGroups, flowGroupsOf, reachesNobody } from './roles.ts';
export { FLOW_RULES, flowRules } from './rules.ts';
export type { Flow, Reader, SeenView } from './types.ts';
