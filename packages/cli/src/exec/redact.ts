import { Transform } from 'node:stream';

const REPLACEMENT = Buffer.from('[redacted]');

/**
 * Takes secrets out of a stream of bytes, also where one lies across the border of two chunks. What cannot be the beginning of a secret is
 * passed on at once, so that prompts are seen. Only the very bytes are found: an encoded secret is not.
 */
export function createRedactor(secrets: () => Iterable<string>): Transform {
  let held = Buffer.alloc(0);
  // The longest first: a shorter one may be a part of it.
  const known = () =>
    [...secrets()]
      .filter((secret) => secret !== '')
      .map((secret) => Buffer.from(secret))
      .sort((a, b) => b.length - a.length);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const needles = known();
      const clean = replaceAll(held.length === 0 ? chunk : Buffer.concat([held, chunk]), needles);
      const keep = longestBeginning(clean, needles);
      held = Buffer.from(clean.subarray(clean.length - keep));
      done(null, clean.subarray(0, clean.length - keep));
    },
    flush(done) {
      done(null, held);
    },
  });
}

function replaceAll(bytes: Buffer, needles: Buffer[]): Buffer {
  let result = bytes;
  for (const needle of needles) {
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = result.indexOf(needle); at >= 0; at = result.indexOf(needle, from)) {
      parts.push(result.subarray(from, at), REPLACEMENT);
      from = at + needle.length;
    }
    if (parts.length > 0) result = Buffer.concat([...parts, result.subarray(from)]);
  }
  return result;
}

/** How many bytes at the end may be the beginning of a secret. */
function longestBeginning(bytes: Buffer, needles: Buffer[]): number {
  let longest = 0;
  for (const needle of needles) {
    const most = Math.min(bytes.length, needle.length - 1);
    for (let size = most; size > longest; size--) {
      if (bytes.subarray(bytes.length - size).equals(needle.subarray(0, size))) longest = size;
    }
  }
  return longest;
}
