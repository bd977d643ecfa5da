/** Where published logs are read from, in Node and in browsers. Directories: `directorySource` of `@gatehouse/verifier/node`. */

import type { TileSource } from './confirmed.ts';
import { MAX_RESOURCE_BYTES } from './published.ts';

const TIMEOUT_MS = 30_000;

/** Below an address: `https://logs.example/one` has `https://logs.example/one/checkpoint`. */
export function fetchSource(prefix: string, get: (url: string) => Promise<Response> = plainFetch): TileSource {
  const base = prefix.replace(/\/+$/, '');
  return async (path) => {
    const response = await get(`${base}/${path}`);
    // Stores that do not let others list what is there answer 403 for what is not.
    if (response.status === 404 || response.status === 403) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok || !response.body) throw new Error(`${base}/${path} answered ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > MAX_RESOURCE_BYTES) throw new Error(`${base}/${path} is larger than a tile can be`);
    return bytes;
  };
}

const plainFetch = (url: string): Promise<Response> => fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
