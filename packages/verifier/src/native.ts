/** What Node has, given its functions: apart from node.ts, so that a browser can load what contains it. */

import type { TileSource } from './confirmed.ts';
import type { Sha256 } from './sha256.ts';

type Hash = (algorithm: string, data: Uint8Array, encoding: 'binary') => string;
type ReadFile = (path: string) => Promise<Uint8Array>;

/** SHA-256 by Node's own library, six times faster over a log than the portable one. */
export const sha256By =
  (hash: Hash): Sha256 =>
  (bytes) => {
    // Twice as fast as asking for a Buffer, which gets memory outside of the heap.
    const digest = hash('sha256', bytes, 'binary');
    const result = new Uint8Array(32);
    for (let i = 0; i < 32; i++) result[i] = digest.charCodeAt(i);
    return result;
  };

/** A log that was published to a directory. */
export const directoryBy =
  (readFile: ReadFile, directory: string): TileSource =>
  async (path) => {
    try {
      return await readFile(`${directory}/${path}`);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
  };
