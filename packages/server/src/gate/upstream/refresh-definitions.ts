import type { ToolServerManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { PinnedDefinition, Registry, ServedDefinition } from '../../registry/index.ts';
import { type UpstreamCredential, UpstreamFailure, type Upstreams } from './types.ts';

/** A credential for nobody, to ask a server what it serves; `done` ends it. */
export type Lend = (
  server: ToolServerManifest,
) => Promise<{ credential: UpstreamCredential; done(): void } | undefined>;

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
  return registry.observeDefinitions(server, served, by);

  /** With a credential only where it says too little without. */
  async function describe(manifest: ToolServerManifest): Promise<ServedDefinition[]> {
    const said = await upstreams.describe(manifest).catch((cause: unknown) => {
      if (!lend || !manifest.transport.credential || !(cause instanceof UpstreamFailure)) throw cause;
      return [];
    });
    const isSaid = (name: string) => said.some((each) => each.kind === 'tool' && each.name === name);
    if (!lend || Object.keys(manifest.tools).every(isSaid)) return said;
    const lent = await lend(manifest);
    return lent ? upstreams.describe(manifest, lent.credential).finally(lent.done) : said;
  }
}
