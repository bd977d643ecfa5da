export type { CleanRules } from './clean.ts';
export { createHeldResults, type HeldResults, type Kept } from './held.ts';
export { limitRemark, withLimit } from './limit-argument.ts';
export { createLook, type Look, type Looked, withFound } from './look.ts';
export { maskCredentials } from './mask-credentials.ts';
export { createOutsideDetectors, type OutsideDetectors } from './outside-detectors.ts';
export { isOfTheProtocol } from './protocol-names.ts';
export { createAhead, mayBeHeld, type Size, sizeOf, whyHeld, whyNotAsked, withoutExcess } from './size.ts';
