import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { GatehouseError, Secret } from '../platform/index.ts';

/**
 * Envelope encryption (AES-256-GCM): each value has a data key of its own, wrapped by the key-encryption key. `context` (what the
 * value is and whose) is authenticated with both, so that a sealed value cannot be moved to another row.
 */
export interface Sealer {
  seal(plain: Secret, context: string): Uint8Array;
  /** Throws `sealer.unreadable` when the key is another, the context differs, or the bytes were changed. */
  open(sealed: Uint8Array, context: string): Secret;
}

const VERSION = 1;
const NONCE = 12;
const TAG = 16;
const KEY = 32;

export function createSealer(keyEncryptionKey: Uint8Array): Sealer {
  if (keyEncryptionKey.byteLength !== KEY) {
    throw new GatehouseError('internal', 'sealer.key-length', 'The key-encryption key must have 32 bytes.');
  }
  return {
    seal(plain, context) {
      const dataKey = randomBytes(KEY);
      return Buffer.concat([
        Buffer.of(VERSION),
        encrypt(keyEncryptionKey, dataKey, `key:${context}`),
        encrypt(dataKey, Buffer.from(plain.reveal()), `value:${context}`),
      ]);
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed);
      const wrapped = NONCE + KEY + TAG;
      try {
        if (bytes[0] !== VERSION) throw new Error(`unknown version ${bytes[0]}`);
        const dataKey = decrypt(keyEncryptionKey, bytes.subarray(1, 1 + wrapped), `key:${context}`);
        return new Secret(decrypt(dataKey, bytes.subarray(1 + wrapped), `value:${context}`).toString());
      } catch (cause) {
        throw new GatehouseError(
          'internal',
          'sealer.unreadable',
          'A stored secret cannot be opened with this key-encryption key. ' +
            'Give this server the keys/key-encryption.key that the database was made with.',
          { cause },
        );
      }
    },
  };
}

function encrypt(key: Uint8Array, plain: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, sealed: Buffer, context: string): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE)).setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
}
