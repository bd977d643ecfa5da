import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GatehouseError, type Secret } from '../platform/index.ts';
import { keyEncryptionKeyOf } from '../storage/index.ts';
import { backupLimits } from './limits.ts';

/** Key files by name, each as it stands in `keys/` of the data directory. */
export type KeyFiles = Record<string, string>;

/** OWASP's first choice for scrypt: 128 * N * r bytes. */
const COST = { N: backupLimits.passphraseMemoryBytes / (128 * 8), r: 8, p: 1 };
/** Node counts a little beside the table, too. */
const MAX_MEMORY_BYTES = 2 * backupLimits.passphraseMemoryBytes;
const AAD = Buffer.from('gatehouse-backup key files 1');

/** Of the key files of a data directory those that hold a key-encryption key of this database; the others are made anew. */
export function keyFilesOf(dataDir: string, ids: readonly string[]): KeyFiles {
  const files: KeyFiles = {};
  for (const path of globSync(join(dataDir, 'keys', '*.key'))) {
    const text = readFileSync(path, 'utf8');
    const id = keyEncryptionKeyOf(text)?.id;
    if (id !== undefined && ids.includes(id)) files[basename(path)] = text;
  }
  if (Object.keys(files).length > 0) return files;
  throw new GatehouseError(
    'bad-request',
    'backup.no-key-files',
    `${join(dataDir, 'keys')} has no key-encryption key of this database. Make the backup without --with-keys, and keep the key where it comes from.`,
  );
}

/** JSON text: the parameters of scrypt (RFC 7914), and the files sealed with AES-256-GCM. */
export async function sealKeyFiles(files: KeyFiles, passphrase: Secret): Promise<string> {
  const [salt, nonce] = [randomBytes(16), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', await keyFrom(passphrase, salt), nonce).setAAD(AAD);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(files)), cipher.final(), cipher.getAuthTag()]);
  const [saltText, nonceText, sealedText] = [salt, nonce, sealed].map((bytes) => bytes.toString('base64'));
  return JSON.stringify({ kdf: 'scrypt', ...COST, salt: saltText, nonce: nonceText, sealed: sealedText });
}

/** Throws `backup.passphrase`. The cost is ours and not what the file says: a file must not choose how long we work. */
export async function openKeyFiles(text: string, passphrase: Secret): Promise<KeyFiles> {
  try {
    const { salt, nonce, sealed } = JSON.parse(text) as Record<'salt' | 'nonce' | 'sealed', string>;
    const bytes = Buffer.from(sealed, 'base64');
    const key = await keyFrom(passphrase, Buffer.from(salt, 'base64'));
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'), { authTagLength: 16 });
    decipher.setAAD(AAD).setAuthTag(bytes.subarray(-16));
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(0, -16)), decipher.final()]).toString());
  } catch (cause) {
    throw new GatehouseError(
      'bad-request',
      'backup.passphrase',
      'The key files of the backup cannot be opened with this passphrase. Nothing was restored.',
      { cause },
    );
  }
}

function keyFrom(passphrase: Secret, salt: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  scrypt(passphrase.reveal().normalize('NFC'), salt, 32, { ...COST, maxmem: MAX_MEMORY_BYTES }, (error, key) =>
    error ? reject(error) : resolve(key),
  );
  return promise;
}
