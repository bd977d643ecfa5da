export { type Credentials, createCredentials } from './credentials.ts';
export type { Lease, LeaseRequest } from './leases/types.ts';
export { createSecrets, type Secrets, type StoredSecret } from './secrets.ts';
