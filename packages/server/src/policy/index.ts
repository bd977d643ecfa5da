export { isOpen, openCalendars } from './calendars.ts';
export { nestingProblem } from './cedar/index.ts';
export { compilePolicies } from './compile.ts';
export { createFlow, type Flow, type Origin, type Reader, type SeenView } from './flow/index.ts';
export { type Feature, featureSubject, features } from './schema.ts';
export {
  type FlowView,
  type Followed,
  type Provenance,
  provenances,
  type Situation,
  unknownSituation,
} from './situation.ts';
export type * from './types.ts';
