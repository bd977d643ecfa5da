export type { RegistryDependencies } from './context.ts';
export { thumbprint } from './keys.ts';
export { createRegistry } from './registry.ts';
export { definitionChanges } from './review.ts';
export type * from './types.ts';
