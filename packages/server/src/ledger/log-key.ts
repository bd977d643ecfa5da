import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { formatNote, formatVerifierKey, type VerifierKey, verifierKey } from '@gatehouse/verifier';
import { type Clock, Secret } from '../platform/index.ts';
import type { Sealer, Storage } from '../storage/index.ts';

export interface LogKey {
  name: string;
  vkey: string;
  /** A signed note (C2SP signed-note, Ed25519) over the text. */
  signNote(text: string): string;
}

/** The Ed25519 key that signs this log's checkpoints: made on first use, its private part sealed. */
export async function openLogKey(
  deps: { storage: Storage; sealer: Sealer; clock: Clock },
  logId: string,
): Promise<LogKey> {
  const { storage, sealer, clock } = deps;
  const kid = `log:${logId}`;
  const stored = await storage.db.selectFrom('signing_keys').selectAll().where('kid', '=', kid).executeTakeFirst();
  if (stored) {
    return fromPrivate(logId, createPrivateKey(sealer.open(stored.sealed_private, kid).reveal()));
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  await storage.transaction(async (transaction) => {
    await transaction
      .insertInto('signing_keys')
      .values({
        kid,
        purpose: 'log',
        algorithm: 'Ed25519',
        public_jwk: JSON.stringify(publicKey.export({ format: 'jwk' })),
        sealed_private: sealer.seal(new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string), kid),
        state: 'active',
        created_at: clock.now(),
      })
      .execute();
  });
  return fromPrivate(logId, privateKey);
}

function fromPrivate(name: string, privateKey: KeyObject): LogKey {
  const raw = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x as string, 'base64url');
  const key: VerifierKey = verifierKey(name, new Uint8Array(raw));
  return {
    name,
    vkey: formatVerifierKey(key),
    signNote: (text) =>
      formatNote(text, [{ key, signature: new Uint8Array(sign(null, Buffer.from(text), privateKey)) }]),
  };
}
