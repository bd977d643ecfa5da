export { nobody, type Peer, type PeerCertificate, type Peers } from './client-certificate/peers.ts';
export { type Confirmations, type Confirmed, createConfirmations } from './consent/confirmations.ts';
export { type Consents, createConsents } from './consent/consents.ts';
export { createIdentity, type Identity, type IdentityDependencies } from './create-identity.ts';
export type { Delegations } from './delegation/delegations.ts';
export {
  createJoinToken,
  type Federation,
  federationLimits,
  gatewayAudience,
  listJoinTokens,
  listTrustRules,
  type ProveGateway,
  type ProvenGateway,
  revokeJoinToken,
  revokeJoinTokensOf,
} from './federation/index.ts';
export type { KeyInventory } from './keys/key-inventory.ts';
export type { PushKeys } from './keys/push-key.ts';
export type { SigningKeys } from './keys/signing-keys.ts';
export { keyEvents, liveCredentials } from './live-credentials.ts';
export * from './people/index.ts';
export type { IdentityTokenRequest, IdentityTokens } from './tokens/identity-token.ts';
export { protectedResourceMetadata } from './tokens/resources.ts';
export type { SessionProof } from './tokens/session-proof.ts';
export type { Transaction, TxnTokens } from './tokens/txn-token.ts';
export { isTrustDomain, parseSpiffeId } from './trust-domain/spiffe-id.ts';
export type * from './trust-domain/types.ts';
export type * from './types.ts';
