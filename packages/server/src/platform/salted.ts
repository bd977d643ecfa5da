import { randomBytes } from 'node:crypto';
import { canonicalJson, isJsonObject, type Json, sha256Hex } from './json.ts';

const SALT_BYTES = 16;
const SALTS_AT_ONCE = 256;
let salts = new Uint8Array(0);
let saltsUsed = 0;

/** A copy: what crosses to the database thread crosses with all that lies in the same memory. */
function nextSalt(): Uint8Array {
  if (saltsUsed === salts.length) {
    salts = new Uint8Array(randomBytes(SALT_BYTES * SALTS_AT_ONCE));
    saltsUsed = 0;
  }
  saltsUsed += SALT_BYTES;
  return salts.slice(saltsUsed - SALT_BYTES, saltsUsed);
}

/** Base64url. */
export const newSalt = (): string => Buffer.from(nextSalt()).toString('base64url');

export function saltedDigest(body: Json, salt: string): string {
  const bytes = Buffer.from(salt, 'base64url');
  // Of one length only: what is salt and what is body is read in one way.
  if (bytes.length !== SALT_BYTES) throw new RangeError(`A salt has ${SALT_BYTES} bytes.`);
  return salted(body, bytes).digest;
}

/** What is hashed and not kept. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

function saltedBytes(salt: Uint8Array, text: string): Uint8Array {
  if (salt.length + 3 * text.length > scratch.length) return Buffer.concat([salt, Buffer.from(text)]);
  scratch.set(salt);
  return scratch.subarray(0, salt.length + scratch.write(text, salt.length));
}

/** Digest of a body: over a random salt that is kept, and erased, with the body, so that an erased value can't be guessed. */
export function salted(body: Json, salt = nextSalt()): { digest: string; salt: Uint8Array; text: string } {
  const text = recordable(body);
  return { digest: `sha256-${sha256Hex(saltedBytes(salt, text))}`, salt, text };
}

/**
 * The canonical text of what is to be recorded, whatever it holds: a text that was cut within a character, or a number that JSON
 * does not have, must not keep an action out of the record.
 */
export function recordable(value: unknown): string {
  try {
    return canonicalJson(value);
  } catch {
    return canonicalJson(JSON.parse(JSON.stringify(value), (_key, member) => wellFormed(member)));
  }
}

/** Names of members as well; JSON has made null of numbers that it does not have. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), member]));
}
