export { createIdentity, type Identity, type IdentityDependencies } from './create-identity.ts';
export * from './people/index.ts';
export { protectedResourceMetadata } from './resources.ts';
export type { SigningKeys } from './signing-keys.ts';
export type * from './types.ts';
