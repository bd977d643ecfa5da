export {
  createUpstreamAuthorizations,
  type UpstreamAuthorizations,
  type UpstreamAuthorizationsOptions,
} from './authorization/index.ts';
export { upstreamLimits } from './limits.ts';
export { parameterHeaders } from './parameter-headers.ts';
export { type Lend, lendSeldom, refreshDefinitions } from './refresh-definitions.ts';
export type { Isolation } from './stdio/launch.ts';
export * from './types.ts';
export { createUpstreams, describedIn, type UpstreamsOptions } from './upstreams.ts';
