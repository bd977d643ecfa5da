import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { type Clock, Secret } from '../../platform/index.ts';
import type { RecordChange, Sealer, Storage } from '../../storage/index.ts';
import type { RotatedKeys } from './key-inventory.ts';

export interface PushKey {
  /** What browsers subscribe with: the uncompressed point, base64url (RFC 8292 §3.2). */
  publicKey: string;
  /** The private value, base64url. */
  privateKey: Secret;
}

export interface PushKeys extends RotatedKeys {
  /** Made on first use. */
  key(): Promise<PushKey>;
}

const purpose = 'push';
const sealContext = (kid: string) => `signing-key:${kid}`;

/**
 * What proves to push services who sends (VAPID, RFC 8292). Every browser's subscription is bound to it, so that a new one is one with which all have
 * to turn notifications on again.
 */
export function createPushKeys({
  storage,
  sealer,
  recordChange,
  clock,
}: {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
}): PushKeys {
  const stored = () =>
    storage.db
      .selectFrom('signing_keys')
      .selectAll()
      .where('purpose', '=', purpose)
      .orderBy('created_at')
      .orderBy('kid')
      .execute();

  /** Of replicas that find none at once, one makes it. */
  async function make(by: string): Promise<string> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    const kid = pointOf(jwk);
    const pem = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    const row = {
      kid,
      purpose,
      algorithm: 'ES256',
      public_jwk: JSON.stringify(jwk),
      sealed_private: sealer.seal(pem, sealContext(kid)),
      state: 'immediate',
      created_at: clock.now(),
    } as const;
    return storage.transaction(async (transaction) => {
      const [other] = await transaction
        .selectFrom('signing_keys')
        .select('kid')
        .where('purpose', '=', purpose)
        .execute();
      if (other) return other.kid;
      await recordChange(transaction, { operation: 'key.rotate', by, changes: [`push key ${kid} made`] });
      await transaction.insertInto('signing_keys').values(row).execute();
      return kid;
    });
  }

  return {
    purpose,
    signs: 'messages to push services (VAPID)',
    algorithm: 'ES256',
    list: async () =>
      (await stored()).map(({ kid, created_at }) => ({
        kid,
        state: 'signing' as const,
        createdAt: created_at,
        signsFrom: created_at,
      })),
    refresh: async () => {},
    nextRotation: async () => null,

    async rotate({ by }) {
      await storage.transaction(async (transaction) => {
        const gone = await transaction
          .deleteFrom('signing_keys')
          .where('purpose', '=', purpose)
          .returning('kid')
          .execute();
        const told = await transaction.deleteFrom('push_subscriptions').returning('id').execute();
        const changes = [
          ...gone.map(({ kid }) => `push key ${kid} destroyed`),
          `${told.length} browsers are told nothing any more until notifications are turned on in them again`,
        ];
        await recordChange(transaction, { operation: 'key.rotate', by, changes });
      });
      return { kid: await make(by), signsFrom: clock.now() };
    },

    async key() {
      const [row] = await stored();
      if (!row) {
        await make('gatehouse');
        return this.key();
      }
      // INVARIANT: all of it comes out of what was sealed under its id, so that editing the table makes no key ours.
      const jwk = createPrivateKey(sealer.open(row.sealed_private, sealContext(row.kid)).reveal()).export({
        format: 'jwk',
      });
      if (pointOf(jwk) !== row.kid) throw new Error(`push key ${row.kid} is sealed under another key's id`);
      return { publicKey: row.kid, privateKey: new Secret(jwk.d ?? '') };
    },
  };
}

const pointOf = ({ x = '', y = '' }: JsonWebKey): string =>
  Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]).toString('base64url');
