import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { GatehouseError, Secret } from '../platform/index.ts';

/**
 * Envelope encryption (AES-256-GCM): each value has a data key of its own, wrapped by the key-encryption key. `context` (what the
 * value is and whose) is authenticated with the value, so that a sealed value cannot be moved to another row.
 *
 * Version 2, written since key-encryption keys can be changed: version (1 byte), id of the key-encryption key (8), wrapped data key
 * (60), value. The wrapping is bound to version and id only, so that a data key is wrapped anew without knowing what it is for.
 * Version 1 (no id; the context bound to the wrapping too) is still opened.
 */
export interface Sealer {
  seal(plain: Secret, context: string): Uint8Array;
  /** Throws `sealer.unreadable` when the key is another, the context differs, or the bytes were changed. */
  open(sealed: Uint8Array, context: string): Secret;
  /** Id of the key-encryption key that a value names and that is not held, or null. Anybody can write such a name. */
  lacks(sealed: Uint8Array): string | null;
}

export interface KeyEncryptionKey {
  /** 16 hexadecimal digits that follow from the key and tell nothing about it. */
  id: string;
  key: Uint8Array;
}

/** The key-encryption keys that a process holds. */
export interface KeyEncryptionKeys {
  /** What is sealed from now on is sealed with this one. */
  current(): KeyEncryptionKey;
  /** Every key that may open something. */
  held(): readonly KeyEncryptionKey[];
}

const VERSION = 2;
const ID = 8;
const NONCE = 12;
const TAG = 16;
const KEY = 32;
const WRAPPED = NONCE + KEY + TAG;

export function keyEncryptionKey(key: Uint8Array): KeyEncryptionKey {
  if (key.byteLength !== KEY) {
    throw new GatehouseError('internal', 'sealer.key-length', 'The key-encryption key must have 32 bytes.');
  }
  const id = Buffer.from(hkdfSync('sha256', key, '', 'gatehouse key-encryption key id', ID)).toString('hex');
  return { id, key };
}

/** With a lone key (`Uint8Array`), or with several of which one is current. */
export function createSealer(keys: Uint8Array | KeyEncryptionKeys): Sealer {
  const ring = keys instanceof Uint8Array ? lone(keyEncryptionKey(keys)) : keys;
  return {
    seal(plain, context) {
      const { id, key } = ring.current();
      const dataKey = randomBytes(KEY);
      return Buffer.concat([
        header(id),
        encrypt(key, dataKey, header(id)),
        encrypt(dataKey, Buffer.from(plain.reveal()), `value:${context}`),
      ]);
    },
    open(sealed, context) {
      try {
        const { dataKey, value } = unwrap(Buffer.from(sealed), ring, context);
        return new Secret(decrypt(dataKey, value, `value:${context}`).toString());
      } catch (cause) {
        throw unreadable(sealed, ring, cause);
      }
    },
    lacks: (sealed) => lackedOf(sealed, ring),
  };
}

function lackedOf(sealed: Uint8Array, ring: KeyEncryptionKeys): string | null {
  const id = sealedWith(sealed);
  return ring.held().some((each) => each.id === id) ? null : id;
}

/** Id of the key-encryption key that a value was sealed with; null in version 1, which does not say. */
export function sealedWith(sealed: Uint8Array): string | null {
  return sealed[0] === VERSION ? Buffer.from(sealed.subarray(1, 1 + ID)).toString('hex') : null;
}

/**
 * The same value with its data key wrapped by the current key; undefined when it is already. The value itself is not decrypted.
 * `version1Context` is needed for values of version 1 only.
 */
export function rewrap(
  sealed: Uint8Array,
  ring: KeyEncryptionKeys,
  version1Context: string | undefined,
): Uint8Array | undefined {
  const { id, key } = ring.current();
  if (sealedWith(sealed) === id) return undefined;
  try {
    const { dataKey, value } = unwrap(Buffer.from(sealed), ring, version1Context);
    return Buffer.concat([header(id), encrypt(key, dataKey, header(id)), value]);
  } catch (cause) {
    throw unreadable(sealed, ring, cause);
  }
}

/** Whether the current key opens the data key. */
export function isWrappedBy(sealed: Uint8Array, kek: KeyEncryptionKey): boolean {
  if (sealedWith(sealed) !== kek.id) return false;
  try {
    unwrap(Buffer.from(sealed), lone(kek), undefined);
    return true;
  } catch {
    return false;
  }
}

function unwrap(bytes: Buffer, ring: KeyEncryptionKeys, context: string | undefined) {
  if (bytes[0] === VERSION) {
    const id = sealedWith(bytes);
    const kek = ring.held().find((each) => each.id === id);
    if (!kek) throw new Error(`sealed with key ${id}, which is not held`);
    const start = 1 + ID;
    const dataKey = decrypt(kek.key, bytes.subarray(start, start + WRAPPED), header(kek.id));
    return { dataKey, value: bytes.subarray(start + WRAPPED) };
  }
  if (bytes[0] !== 1) throw new Error(`unknown version ${bytes[0]}`);
  if (context === undefined) throw new Error('a value of version 1 needs its context');
  let failure: unknown;
  for (const { key } of ring.held()) {
    try {
      const dataKey = decrypt(key, bytes.subarray(1, 1 + WRAPPED), `key:${context}`);
      return { dataKey, value: bytes.subarray(1 + WRAPPED) };
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function unreadable(sealed: Uint8Array, ring: KeyEncryptionKeys, cause: unknown): GatehouseError {
  const id = lackedOf(sealed, ring);
  return new GatehouseError(
    'internal',
    'sealer.unreadable',
    id === null
      ? 'A stored secret cannot be opened: it was changed, or it is sealed with another key-encryption key than those of ' +
          'this server. Give --key-encryption the key that the database was made with, or put the database back from a backup.'
      : `A stored secret is sealed with the key-encryption key ${id}, which this server does not have. Name it with ` +
          '--key-encryption besides the current one, and run gatehouse keys rewrap.',
    { cause },
  );
}

const header = (id: string) => Buffer.concat([Buffer.of(VERSION), Buffer.from(id, 'hex')]);
const lone = (kek: KeyEncryptionKey): KeyEncryptionKeys => ({ current: () => kek, held: () => [kek] });

function encrypt(key: Uint8Array, plain: Uint8Array, context: string | Buffer): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Uint8Array, sealed: Buffer, context: string | Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
}
