import { importPKCS8 } from 'jose';
import { type KeyDependencies, type KeysOnDemand, keysOnDemand } from '../../keys/keys-on-demand.ts';
import type { KeyPurpose } from '../../keys/signing-keys.ts';

/** Key sets are cached by whoever reads them, longer than the answer allows by some. What is signed lives for a minute. */
const CLIENT_KEY: KeyPurpose = {
  name: 'identity-provider-client',
  label: 'key for identity providers',
  algorithm: 'ES256',
  publishLeadMs: 3_600_000,
  overlapMs: 10 * 60_000,
};

export interface ClientKeys extends Omit<KeysOnDemand, 'signer'> {
  signer(): Promise<{ kid: string; private: CryptoKey }>;
}

/**
 * The keys with which the house proves itself to identity providers (`private_key_jwt`, OIDC Core §9), as published at `/oidc/jwks`: no
 * secret to hand over, none to leak, and of no other use: they sign no token.
 */
export function createClientKeys(deps: KeyDependencies): ClientKeys {
  const keys = keysOnDemand(deps, CLIENT_KEY, 'what proves Gatehouse to identity providers');
  return {
    ...keys,
    async signer() {
      const { kid, key } = await keys.signer();
      return { kid, private: await importPKCS8(key.export({ type: 'pkcs8', format: 'pem' }).toString(), 'ES256') };
    },
  };
}
