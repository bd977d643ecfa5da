export { createUpstreamAuthorizations, type UpstreamAuthorizationsOptions } from './authorizations.ts';
export { authorizedCaller } from './authorized-call.ts';
export type { UpstreamAuthorizations } from './types.ts';
