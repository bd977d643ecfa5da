export { accountLimits } from './accounts/limits.ts';
export type { Accounts, PendingAccount } from './accounts/types.ts';
export { type Credentials, createCredentials } from './credentials.ts';
export { leaveToOriginal } from './leases/book.ts';
export { createEnding } from './leases/end.ts';
export { unknownLease } from './leases/find.ts';
export type { HandedOut } from './leases/handed-out.ts';
export type { Issued, Standing, StandingOf } from './leases/issued.ts';
export type { Leases } from './leases/leases.ts';
export { agentAllows } from './leases/lifetime.ts';
export { leaseLimits } from './leases/limits.ts';
export { endLeasesOfBefore } from './leases/seals.ts';
export type { Held, LeaseRequest } from './leases/types.ts';
export {
  ask,
  authorizationServer,
  CALLBACK_PATH,
  callbackOf,
  clientWithSecret,
  connectCookie,
  createGuardedFetch,
  createPendingConsents,
  FORMER_PATH,
  forgottenCookie,
  type GuardedFetch,
  isSameBrowser,
  nameInPath,
  newHandle,
  type OAuthClient,
  oauthFailure,
  oauthLimits,
  type PendingConsent,
  type ProofKey,
  type RegisteredClient,
  registeredClient,
  requestToken,
  splitScopes,
  stateOf,
  type TokenRequest,
  type UpstreamToken,
  wrong,
} from './oauth/index.ts';
export { createSecretUses, type SecretUses, useOfPart, useOfSecret } from './secret-uses.ts';
export { createSecrets, type Secrets, type StoredSecret } from './secrets.ts';
