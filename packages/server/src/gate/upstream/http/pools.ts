import { isIP } from 'node:net';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { Pool } from 'undici';
import { checkAddress, guardedLookup } from '../../../platform/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import { UpstreamFailure } from '../types.ts';

export type HttpTransport = Extract<ToolServerManifest['transport'], { type: 'http' }>;

export interface ClientCertificate {
  cert?: string;
  key?: string;
  ca?: string;
}

/** Sockets, kept per server and environment. */
export function createPools(limits: UpstreamLimits) {
  const pools = new Map<string, { server: string; pool: Pool }>();

  function open(server: string, transport: HttpTransport, tls: ClientCertificate = {}): Pool {
    const { origin, protocol, hostname } = new URL(transport.url);
    if (protocol !== 'http:' && protocol !== 'https:')
      throw new UpstreamFailure('unreachable', `The URL of ${server} is neither http nor https.`);
    const literal = hostname.replace(/^\[|\]$/g, '');
    try {
      // A literal address is connected to without a lookup.
      if (isIP(literal) !== 0) checkAddress(literal, literal, transport.allowPrivateAddress);
    } catch (cause) {
      throw new UpstreamFailure('unreachable', (cause as Error).message, { cause });
    }
    return new Pool(origin, {
      connect: { lookup: guardedLookup(transport.allowPrivateAddress), timeout: limits.connectTimeoutMs / 3, ...tls },
      allowH2: false,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  return {
    /** Sockets of one connection alone, which show its certificate. Whoever has it closes it. Throws like `of`. */
    own: open,

    /** Throws UpstreamFailure `unreachable` for an address that no tool server may have. */
    of(server: string, environment: string, transport: HttpTransport): Pool {
      const { origin } = new URL(transport.url);
      const key = JSON.stringify([server, environment, origin, transport.allowPrivateAddress]);
      const known = pools.get(key);
      if (known !== undefined) return known.pool;
      const pool = open(server, transport);
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
