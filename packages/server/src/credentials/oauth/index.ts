export { connectCookie, forgottenCookie, isSameBrowser, newHandle, stateOf } from './browser-cookie.ts';
export { clientWithSecret, type OAuthClient, type RegisteredClient, registeredClient } from './client.ts';
export { createGuardedFetch, type GuardedFetch } from './guarded-fetch.ts';
export { type OAuthLimits, oauthLimits } from './limits.ts';
export { authorizationServer, wrong } from './metadata.ts';
export { createPendingConsents, type PendingConsent } from './pending-consents.ts';
export { baseOf, endsTokens, type OAuthPlace, openPlace, partOf } from './systems.ts';
export { ask, oauthFailure, requestToken, splitScopes, type TokenRequest } from './token-request.ts';
export type { ProofKey, UpstreamToken } from './types.ts';
