import type { ToolServerManifest } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { PinnedDefinition, Registry, ServedDefinition } from '../../registry/index.ts';
import { upstreamLimits } from './limits.ts';
import { type UpstreamCredential, UpstreamFailure, type Upstreams } from './types.ts';

/** A credential for nobody, to ask a server what it serves; `done` ends it. */
export type Lend = (
  server: ToolServerManifest,
) => Promise<{ credential: UpstreamCredential; done(): void } | 'not now' | undefined>;

/** For looks that no person asked for: a server chooses when it says that something changed, and is not to have accounts made by that. */
export function lendSeldom(lend: Lend, clock: Clock): Lend {
  const lentAt = new Map<string, number>();
  return async (server) => {
    const now = clock.now();
    if (now - (lentAt.get(server.name) ?? Number.NEGATIVE_INFINITY) < upstreamLimits.lendToDescribeMs) return 'not now';
    lentAt.set(server.name, now);
    return lend(server);
  };
}

/**
 * Asks a registered server what it serves, and pins or holds it (law 8). Returns what is newly held; `by` is who had it asked. Only what is
 * registered is asked with a credential: nobody gets one by planning a server of their own.
 */
export async function refreshDefinitions(
  { registry, upstreams, lend }: { registry: Registry; upstreams: Pick<Upstreams, 'describe'>; lend?: Lend },
  server: string,
  by: string,
): Promise<PinnedDefinition[]> {
  const registered = registry.snapshot().servers.get(server);
  if (!registered) return [];
  const served = await describe(registered.manifest).catch((cause: unknown) => {
    if (!(cause instanceof UpstreamFailure)) throw cause;
    throw new GatehouseError(
      'upstream',
      'server.unreadable',
      `The tool server "${server}" could not be asked what it serves: ${cause.message}`,
      { cause },
    );
  });
  // What it says to everybody is not all of it: what is known stays.
  if (!served) return [];
  return registry.observeDefinitions(server, served, by);

  /** With a credential only where it says too little without. */
  async function describe(manifest: ToolServerManifest): Promise<ServedDefinition[] | undefined> {
    const said = await upstreams.describe(manifest).catch((cause: unknown) => {
      if (!lend || !manifest.transport.credential || !(cause instanceof UpstreamFailure)) throw cause;
      return [];
    });
    const isSaid = (name: string) => said.some((each) => each.kind === 'tool' && each.name === name);
    if (!lend || Object.keys(manifest.tools).every(isSaid)) return said;
    const lent = await lend(manifest);
    if (lent === 'not now') return undefined;
    return lent ? upstreams.describe(manifest, lent.credential).finally(lent.done) : said;
  }
}
