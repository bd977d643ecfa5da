export { nobody, type Peer, type PeerCertificate, type Peers } from './client-certificate/peers.ts';
export { createIdentity, type Identity, type IdentityDependencies } from './create-identity.ts';
export type { SigningKeys } from './keys/signing-keys.ts';
export * from './people/index.ts';
export { protectedResourceMetadata } from './tokens/resources.ts';
export type * from './types.ts';
