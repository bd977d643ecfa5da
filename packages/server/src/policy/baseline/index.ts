export { type Baseline, createBaseline, type EndedCall } from './baseline.ts';
export { baselineLimits } from './limits.ts';
export { BASELINE_RULES, baselineRules } from './rules.ts';
