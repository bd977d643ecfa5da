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
  | 'fnd'
  | 'hld'
  | 'ses'
  | 'tok'
  | 'cred'
  | 'rem'
  | 'chg'
  | 'xch'
  | 'inv'
  | 'mcp'
  | 'dlg'
  | 'dep'
  | 'psh'
  | 'edm'
  | 'txn';

let lastTime = 0;
let counter = 0;

/**
 * A new identifier: prefix, 48 bits of time and 80 random bits in Crockford's base 32, so that ids sort by creation.
 * Two ids of one millisecond are told apart by a counter in the top random bits, which keeps them in order.
 */
export function newId(prefix: IdPrefix, now = Date.now()): string {
  counter = now === lastTime ? counter + 1 : 0;
  lastTime = now;
  const random = randomBytes(10);
  random.writeUInt16BE(counter & 0xffff, 0);
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(now, 0, 6);
  random.copy(bytes, 6);
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
