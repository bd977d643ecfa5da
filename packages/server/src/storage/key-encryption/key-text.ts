import { GatehouseError } from '../../platform/index.ts';
import { type KeyEncryptionKey, keyEncryptionKey } from '../sealer.ts';

/** A key of 32 bytes as text: base64, base64url or hexadecimal. `where` names it in errors; the text itself never is in one. */
export function keyFromText(text: string, where: string): Uint8Array {
  const trimmed = text.trim();
  const key = /^[0-9a-fA-F]{64}$/.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)
      ? Buffer.from(trimmed, 'base64')
      : undefined;
  // What is too short is no weaker key: an empty file would be a key that everybody knows.
  if (key?.byteLength !== 32)
    throw new GatehouseError(
      'internal',
      'key-encryption.damaged',
      `${where} does not hold a key of 32 bytes (base64 or hexadecimal; "openssl rand -base64 32" makes one). Put it back from a backup; if this is the first start, make one.`,
    );
  return key;
}

/** What such a text holds, with its id; undefined when it is no key. */
export function keyEncryptionKeyOf(text: string): KeyEncryptionKey | undefined {
  try {
    return keyEncryptionKey(keyFromText(text, ''));
  } catch (error) {
    if (error instanceof GatehouseError) return undefined;
    throw error;
  }
}
