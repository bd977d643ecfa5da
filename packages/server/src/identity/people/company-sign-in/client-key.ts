import { importPKCS8 } from 'jose';
import type { RotatedKeys } from '../../keys/key-inventory.ts';
import { type KeyPurpose, openSigningKeys, type PublishedKey, type SigningKeys } from '../../keys/signing-keys.ts';

export type ClientKeyDependencies = Parameters<typeof openSigningKeys>[0];

/** Key sets are cached by whoever reads them, longer than the answer allows by some. What is signed lives for a minute. */
const CLIENT_KEY: KeyPurpose = {
  name: 'identity-provider-client',
  label: 'key for identity providers',
  publishLeadMs: 3_600_000,
  overlapMs: 10 * 60_000,
};

export interface ClientKeys extends RotatedKeys {
  signer(): Promise<{ kid: string; private: CryptoKey }>;
  /** As published at `/oidc/jwks`. */
  jwks(): Promise<{ keys: PublishedKey[] }>;
}

/**
 * The keys with which the house proves itself to identity providers (`private_key_jwt`, OIDC Core §9): no secret to hand over, none to
 * leak. Made at first use, the same on every replica, and of no other use: they sign no token.
 */
export function createClientKeys(deps: ClientKeyDependencies): ClientKeys {
  let opened: Promise<SigningKeys> | undefined;
  const open = () => {
    opened ??= openSigningKeys(deps, CLIENT_KEY).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  /** A workspace whose people sign in otherwise has none, and being listed makes none. */
  const openIfAny = async () => {
    if (opened) return opened;
    const row = await deps.storage.db
      .selectFrom('signing_keys')
      .select('kid')
      .where('purpose', '=', 'identity-provider-client')
      .executeTakeFirst();
    return row && open();
  };

  return {
    purpose: CLIENT_KEY.name,
    signs: 'what proves Gatehouse to identity providers',
    algorithm: 'ES256',
    list: async () => (await openIfAny())?.list() ?? [],
    refresh: async () => (await openIfAny())?.refresh(),
    nextRotation: async () => (await openIfAny())?.nextRotation() ?? null,
    rotate: async (options) => (await open()).rotate(options),
    jwks: async () => (await open()).jwks(),
    async signer() {
      const { kid, key } = (await open()).signer();
      return { kid, private: await importPKCS8(key.export({ type: 'pkcs8', format: 'pem' }).toString(), 'ES256') };
    },
  };
}
