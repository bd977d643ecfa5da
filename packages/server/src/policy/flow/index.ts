export { createFlow, type Flow, type Reader, type SeenView } from './flow.ts';
export { flowLimits } from './limits.ts';
export type { Origin } from './origin.ts';
export { flowArgumentNames, flowArguments, flowGroups, flowGroupsOf } from './roles.ts';
export { FLOW_RULES, flowRules } from './rules.ts';
