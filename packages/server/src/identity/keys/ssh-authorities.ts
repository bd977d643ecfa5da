import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { type Clock, GatehouseError, Secret } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { RotatedKeys } from './key-inventory.ts';

export interface SshAuthorities extends RotatedKeys {
  /** PKCS #8 of the Ed25519 key that signs the SSH certificates of one credential provider. Made on first use. */
  keyOf(provider: string): Promise<Secret>;
}

const purpose = 'ssh-ca';
/** Of the provider, so that no other can sign for the hosts that trust this one, and that of replicas which find none at once one makes it. */
const idOf = (provider: string) => `ssh-ca:${provider}`;
const sealContext = (kid: string) => `signing-key:${kid}`;

/** Keys that hosts trust to say who may sign in (`TrustedUserCAKeys`). */
export function createSshAuthorities({
  storage,
  sealer,
  recordChange,
  clock,
}: {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
}): SshAuthorities {
  const whyFixed =
    'Hosts hold its public key, and only they can forget it. To change it, declare a provider of another name, have the hosts trust its key (`gatehouse providers trust NAME`), move tool servers over, and have the hosts forget the old key.';

  const find = (kid: string) =>
    storage.db
      .selectFrom('signing_keys')
      .selectAll()
      .where('purpose', '=', purpose)
      .where('kid', '=', kid)
      .executeTakeFirst();

  async function make(kid: string): Promise<void> {
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    await storage.transaction(async (transaction) => {
      const inserted = await transaction
        .insertInto('signing_keys')
        .values({
          ...{ kid, purpose, algorithm: 'EdDSA', state: 'immediate', created_at: clock.now() },
          public_jwk: JSON.stringify(createPublicKey(privateKey).export({ format: 'jwk' })),
          sealed_private: sealer.seal(pem, sealContext(kid)),
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (inserted.numInsertedOrUpdatedRows !== 1n) return;
      await recordChange(transaction, {
        operation: 'key.rotate',
        by: 'gatehouse',
        changes: [`SSH authority ${kid} made`],
      });
    });
  }

  return {
    purpose,
    signs: 'SSH certificates of credential providers',
    algorithm: 'Ed25519',
    whyFixed,
    async list() {
      const rows = await storage.db
        .selectFrom('signing_keys')
        .select(['kid', 'created_at'])
        .where('purpose', '=', purpose)
        .orderBy('created_at')
        .execute();
      return rows.map(({ kid, created_at }) => ({
        ...{ kid, state: 'signing' as const, createdAt: created_at, signsFrom: created_at },
      }));
    },
    refresh: async () => {},
    nextRotation: async () => null,
    rotate: async () => Promise.reject(new GatehouseError('conflict', 'key.fixed', whyFixed)),

    async keyOf(provider) {
      const kid = idOf(provider);
      if (!(await find(kid))) await make(kid);
      const row = await find(kid);
      if (!row) throw new Error(`${kid} was made and is not there`);
      // INVARIANT: the private key comes out of what was sealed under its id, so that editing the table makes no key ours.
      return sealer.open(row.sealed_private, sealContext(kid));
    },
  };
}
