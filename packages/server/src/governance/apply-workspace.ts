import type { Api, Manifest, ToolServerManifest } from '@gatehouse/protocol';
import { canonicalJson } from '../platform/index.ts';
import type { ApplyOptions, Registry, Rehearsal, ServedDefinition } from '../registry/index.ts';

/** What came of an apply, before anybody has looked for what would fail later. */
export type Applied = Omit<Api['POST /apply'], 'warnings'>;

export interface ApplyDependencies {
  registry: Registry;
  describe(server: ToolServerManifest): Promise<ServedDefinition[]>;
}

/**
 * Applies manifests, all or nothing. Servers that are new or changed are asked first what they serve, so that their tools are
 * pinned in the same transaction and templates can be checked against them. A server that can't be reached is a problem to show;
 * the apply is then refused only if something depends on its tools.
 */
export async function applyWorkspace(
  deps: ApplyDependencies,
  manifests: Manifest[],
  { dryRun, ...how }: Omit<ApplyOptions, 'served'> & { dryRun?: boolean },
): Promise<Applied> {
  const { served, problems } = await askServers(deps, manifests);
  const changes = dryRun
    ? await deps.registry.plan(manifests, { ...how, served })
    : await deps.registry.apply(manifests, { ...how, served });
  return { changes, problems };
}

/** The same, taken back: what it would change, and the workspace as it would be. */
export async function rehearseWorkspace(
  deps: ApplyDependencies,
  manifests: Manifest[],
  how: Omit<ApplyOptions, 'served' | 'by'>,
): Promise<Rehearsal> {
  const { served } = await askServers(deps, manifests);
  return deps.registry.rehearse(manifests, { ...how, served });
}

/**
 * What needs its credential to say what it serves is asked again with one, now that it is registered. Gives what is still a problem.
 */
export async function askWithCredentials(
  registry: Pick<Registry, 'snapshot'>,
  refresh: (server: string, by: string) => Promise<unknown>,
  problems: Applied['problems'],
  by: string,
): Promise<Applied['problems']> {
  const left = problems.map(async (each) => {
    if (!registry.snapshot().servers.get(each.server)?.manifest.transport.credential) return [each];
    try {
      await refresh(each.server, by);
      return [];
    } catch (error) {
      return [{ server: each.server, problem: error instanceof Error ? error.message : String(error) }];
    }
  });
  return (await Promise.all(left)).flat();
}

async function askServers({ registry, describe }: ApplyDependencies, manifests: Manifest[]) {
  const { servers } = registry.snapshot();
  const changed = manifests.filter(
    (manifest): manifest is ToolServerManifest =>
      manifest.kind === 'ToolServer' &&
      canonicalJson(servers.get(manifest.name)?.manifest ?? null) !== canonicalJson(manifest),
  );
  const problems: { server: string; problem: string }[] = [];
  const served = new Map<string, ServedDefinition[]>();
  await Promise.all(
    changed.map(async (server) => {
      try {
        served.set(server.name, await describe(server));
      } catch (error) {
        problems.push({ server: server.name, problem: error instanceof Error ? error.message : String(error) });
      }
    }),
  );
  return { served, problems };
}
