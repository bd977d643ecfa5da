export { compileTest, type Entities, type EntityData, type Environment, readUid, readValue } from './expression.ts';
export { Datetime, IpAddress, parseIp } from './extensions.ts';
export { nestingProblem } from './nesting.ts';
export { parsePolicy, parseTemplate } from './parse.ts';
export { type Answer, type CompiledSet, compileSet, linkTemplate, type Slice } from './policy-set.ts';
export {
  type CedarRecord,
  CedarSet,
  EntityUid,
  EvaluationError,
  isRecord,
  LazyRecord,
  type Member,
  type Value,
} from './values.ts';
