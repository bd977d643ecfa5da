import { isIP } from 'node:net';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { Pool } from 'undici';
import { checkAddress, guardedLookup } from '../../../platform/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import { UpstreamFailure } from '../types.ts';

type HttpTransport = Extract<ToolServerManifest['transport'], { type: 'http' }>;

/** Sockets, kept per server and environment. */
export function createPools(limits: UpstreamLimits) {
  const pools = new Map<string, { server: string; pool: Pool }>();
  return {
    /** Throws UpstreamFailure `unreachable` for an address that no tool server may have. */
    of(server: string, environment: string, transport: HttpTransport): Pool {
      const { origin, protocol, hostname } = new URL(transport.url);
      const allowPrivate = transport.allowPrivateAddress;
      const key = JSON.stringify([server, environment, origin, allowPrivate]);
      const known = pools.get(key);
      if (known !== undefined) return known.pool;
      if (protocol !== 'http:' && protocol !== 'https:')
        throw new UpstreamFailure('unreachable', `The URL of ${server} is neither http nor https.`);
      const literal = hostname.replace(/^\[|\]$/g, '');
      try {
        // A literal address is connected to without a lookup.
        if (isIP(literal) !== 0) checkAddress(literal, literal, allowPrivate);
      } catch (cause) {
        throw new UpstreamFailure('unreachable', (cause as Error).message, { cause });
      }
      const pool = new Pool(origin, {
        connect: { lookup: guardedLookup(allowPrivate), timeout: limits.connectTimeoutMs / 3 },
        allowH2: false,
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      pools.set(key, { server, pool });
      return pool;
    },

    async drop(name: string): Promise<void> {
      for (const [key, { server, pool }] of [...pools]) {
        if (server !== name) continue;
        pools.delete(key);
        await pool.destroy();
      }
    },

    async close(): Promise<void> {
      const all = [...pools.values()];
      pools.clear();
      await Promise.all(all.map(({ pool }) => pool.destroy()));
    },
  };
}
