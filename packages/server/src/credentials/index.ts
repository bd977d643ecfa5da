export { type Credentials, createCredentials } from './credentials.ts';
export type { HandedOut } from './leases/handed-out.ts';
export type { Leases } from './leases/leases.ts';
export { leaseLimits } from './leases/limits.ts';
export type { Held, LeaseRequest } from './leases/types.ts';
export { createSecrets, type Secrets, type StoredSecret } from './secrets.ts';
