export type { CleanRules } from './clean.ts';
export { createLook, type Look, type Looked } from './look.ts';
