export type { CleanRules } from './clean.ts';
export { createHeldResults, type HeldResults, type Kept } from './held.ts';
export { limitRemark, withLimit } from './limit-argument.ts';
export { createLook, type Look, type Looked } from './look.ts';
export { createAhead, mayBeHeld, type Size, whyHeld, whyNotAsked, withoutExcess } from './size.ts';
