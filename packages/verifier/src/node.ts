/** SHA-256 by Node's own library, six times faster over a log than the portable one. Not for browsers. */

import { hash } from 'node:crypto';
import type { Sha256 } from './sha256.ts';

export const nodeSha256: Sha256 = (bytes) => {
  // Twice as fast as asking for a Buffer, which gets memory outside of the heap.
  const digest = hash('sha256', bytes, 'binary');
  const result = new Uint8Array(32);
  for (let i = 0; i < 32; i++) result[i] = digest.charCodeAt(i);
  return result;
};
