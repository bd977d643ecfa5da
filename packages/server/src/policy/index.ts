export { BASELINE_RULES, type Baseline, baselineLimits, createBaseline, type EndedCall } from './baseline/index.ts';
export { builtInPolicies } from './built-in-policies.ts';
export { isOpen, openCalendars } from './calendars.ts';
export { nestingProblem } from './cedar/index.ts';
export { compilePolicies } from './compile.ts';
export {
  coveredBy,
  createFlow,
  type Flow,
  mostCareful,
  type Origin,
  type Reader,
  reachesNobody,
  SENSITIVE,
  type SeenView,
  sealLabelsOfBefore,
  sensitiveKinds,
  UNTRUSTED,
} from './flow/index.ts';
export { isWider } from './grantable.ts';
export { type LoadedPolicy, readPolicies } from './load.ts';
export { nearest } from './nearest.ts';
export { combine as combineObligations } from './obligations.ts';
export { perVersion } from './per-version.ts';
export { fromRecordedSituation, toRecordedSituation } from './recorded-situation.ts';
export { relaxedPolicies } from './relaxing.ts';
export {
  type ArgumentsType,
  type ArgumentType,
  directEffects,
  directRef,
  type Feature,
  featureSubject,
  features,
  NAMESPACE,
  type Subject,
  subjectsIn,
  subjectsOf,
} from './schema.ts';
export { concerns } from './scope.ts';
export {
  type FlowView,
  type Followed,
  type Provenance,
  provenances,
  type Situation,
  unknownSituation,
} from './situation.ts';
export { placeOf, splitPolicies } from './source-text.ts';
export * from './trace.ts';
export type * from './types.ts';
export * from './words.ts';
export { prepareToCompile } from './written.ts';
