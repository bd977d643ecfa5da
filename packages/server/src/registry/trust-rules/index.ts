export { checkTrustRules, MAX_TRUST_RULES, type RuleProblem, startsProblems, workloadProblems } from './check.ts';
export { claimOf, conditionHolds, rulesOverlap } from './conditions.ts';
export { globMatches, globsOverlap } from './glob.ts';
export { issuerUrlOf, maxAgeOf, presetOf, presets, reuseOf } from './presets.ts';
