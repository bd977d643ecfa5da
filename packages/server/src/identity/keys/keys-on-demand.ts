import type { RotatedKeys } from './key-inventory.ts';
import { type KeyPurpose, openSigningKeys, type PublishedKey, type SigningKeys } from './signing-keys.ts';

export type KeyDependencies = Parameters<typeof openSigningKeys>[0];

export interface KeysOnDemand extends RotatedKeys {
  signer(): Promise<ReturnType<SigningKeys['signer']>>;
  jwks(): Promise<{ keys: PublishedKey[] }>;
}

/** Keys of a purpose that not every workspace has: made at first use, the same on every replica. Being listed makes none. */
export function keysOnDemand(deps: KeyDependencies, purpose: KeyPurpose, signs: string): KeysOnDemand {
  let opened: Promise<SigningKeys> | undefined;
  const open = () => {
    opened ??= openSigningKeys(deps, purpose).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const openIfAny = async () => {
    if (opened) return opened;
    const row = await deps.storage.db
      .selectFrom('signing_keys')
      .select('kid')
      .where('purpose', '=', purpose.name)
      .executeTakeFirst();
    return row && open();
  };

  return {
    purpose: purpose.name,
    signs,
    algorithm: purpose.algorithm,
    list: async () => (await openIfAny())?.list() ?? [],
    refresh: async () => (await openIfAny())?.refresh(),
    nextRotation: async () => (await openIfAny())?.nextRotation() ?? null,
    rotate: async (options) => (await open()).rotate(options),
    jwks: async () => (await open()).jwks(),
    signer: async () => (await open()).signer(),
  };
}
