import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Prefixes of the identifiers that users see; the prefix tells what a pasted id is. */
export type IdPrefix =
  | 'act'
  | 'apr'
  | 'brk'
  | 'cfm'
  | 'dlv'
  | 'ers'
  | 'hld'
  | 'tsk'
  | 'lse'
  | 'acc'
  | 'fnd'
  | 'hld'
  | 'ses'
  | 'tok'
  | 'cred'
  | 'rem'
  | 'rag'
  | 'chg'
  | 'xch'
  | 'inv'
  | 'mcp'
  | 'dlg'
  | 'dep'
  | 'psh'
  | 'edm'
  | 'idt'
  | 'txn';

const ID_BYTES = 16;
/** Asked for together: a question to the source of randomness takes longer than the rest. */
const IDS_AT_ONCE = 64;
let pool = Buffer.alloc(0);
let used = 0;
let lastTime = 0;
let counter = 0;

/**
 * A new identifier: prefix, 48 bits of time and 80 random bits in Crockford's base 32, so that ids sort by creation.
 * Two ids of one millisecond are told apart by a counter in the top random bits, which keeps them in order.
 */
export function newId(prefix: IdPrefix, now = Date.now()): string {
  counter = now === lastTime ? counter + 1 : 0;
  lastTime = now;
  if (used === pool.length) {
    pool = randomBytes(ID_BYTES * IDS_AT_ONCE);
    used = 0;
  }
  const bytes = pool.subarray(used, used + ID_BYTES);
  used += ID_BYTES;
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt16BE(counter & 0xffff, 6);
  let bits = 0;
  let value = 0;
  let text = '';
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return `${prefix}_${text}${ALPHABET[(value << (5 - bits)) & 31]}`;
}

/** When it was made, in milliseconds since the epoch; NaN for what is no identifier. */
export function timeOfId(id: string): number {
  const digits = [...id.slice(id.indexOf('_') + 1).slice(0, 10)].map((letter) => ALPHABET.indexOf(letter));
  if (digits.length < 10 || digits.includes(-1)) return Number.NaN;
  // Ten letters are 50 bits, of which the first 48 are the time.
  return Math.floor(digits.reduce((time, digit) => time * 32 + digit, 0) / 4);
}
