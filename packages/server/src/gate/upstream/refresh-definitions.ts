import { GatehouseError } from '../../platform/index.ts';
import type { PinnedDefinition, Registry } from '../../registry/index.ts';
import { UpstreamFailure, type Upstreams } from './types.ts';

/** Asks a registered server what it serves, and pins or holds it (law 8). Returns what is newly held; `by` is who had it asked. */
export async function refreshDefinitions(
  { registry, upstreams }: { registry: Registry; upstreams: Pick<Upstreams, 'describe'> },
  server: string,
  by: string,
): Promise<PinnedDefinition[]> {
  const registered = registry.snapshot().servers.get(server);
  if (!registered) return [];
  const served = await upstreams.describe(registered.manifest).catch((cause: unknown) => {
    if (!(cause instanceof UpstreamFailure)) throw cause;
    throw new GatehouseError(
      'upstream',
      'server.unreadable',
      `The tool server "${server}" could not be asked what it serves: ${cause.message}`,
      { cause },
    );
  });
  return registry.observeDefinitions(server, served, by);
}
