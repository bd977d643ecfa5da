import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint, importJWK, type JWK } from 'jose';
import { type Clock, Secret } from '../../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../../storage/index.ts';

const PURPOSE = 'identity-provider-client';
const sealContext = (kid: string) => `signing-key:${kid}`;

export interface ClientKey {
  kid: string;
  private: CryptoKey;
  /** As published at `/oidc/jwks`. */
  public: JWK;
}

/**
 * The key with which the house proves itself to identity providers (`private_key_jwt`, OIDC Core §9): no secret to hand over, none to
 * leak. Made at first use, the same on every replica, and of no other use: it signs no token.
 */
export function createClientKey({
  storage,
  sealer,
  recordChange,
  clock,
}: {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
}): () => Promise<ClientKey> {
  let known: Promise<ClientKey> | undefined;

  async function open(): Promise<ClientKey> {
    const made = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JWK;
    const { d: _secret, ...madePublic } = made;
    const madeKid = await calculateJwkThumbprint(madePublic);
    const stored = await storage.transaction(async (transaction) => {
      const known = await transaction
        .selectFrom('signing_keys')
        .select(['kid', 'sealed_private'])
        .where('purpose', '=', PURPOSE)
        .orderBy('created_at')
        .executeTakeFirst();
      if (known) return known;
      const row = {
        kid: madeKid,
        purpose: PURPOSE,
        algorithm: 'ES256',
        public_jwk: JSON.stringify(madePublic),
        sealed_private: sealer.seal(new Secret(JSON.stringify(made)), sealContext(madeKid)),
        state: 'active',
        created_at: clock.now(),
      };
      await transaction.insertInto('signing_keys').values(row).execute();
      await recordChange(transaction, {
        operation: 'identity-provider.key',
        by: 'gatehouse',
        changes: [`key ${madeKid} made, to prove the house to identity providers`],
      });
      return row;
    });
    const { kid } = stored;
    const jwk = JSON.parse(sealer.open(stored.sealed_private, sealContext(kid)).reveal()) as JWK;
    const { d: _private, ...half } = jwk;
    const key = (await importJWK(jwk, 'ES256')) as CryptoKey;
    return { kid, private: key, public: { ...half, kid, alg: 'ES256', use: 'sig' } };
  }

  return () => {
    known ??= open().catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}
