export { createSecrets, type Secrets, type StoredSecret } from './secrets.ts';
