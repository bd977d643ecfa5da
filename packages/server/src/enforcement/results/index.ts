export type { CleanRules } from './clean.ts';
export { limitRemark, withLimit } from './limit-argument.ts';
export { createLook, type Look, type Looked } from './look.ts';
