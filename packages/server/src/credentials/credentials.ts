import type { CredentialProviderManifest } from '@gatehouse/protocol';
import { type Clock, canonicalJson, GatehouseError, type Json, type Log } from '../platform/index.ts';
import type { Snapshot } from '../registry/index.ts';
import type { Guard, RecordChange, Sealer, Storage } from '../storage/index.ts';
import { createLeases, type Leases } from './leases/leases.ts';
import { createReconciler } from './leases/reconcile.ts';
import type { Provider } from './leases/types.ts';
import { openProvider } from './providers/index.ts';
import type { Secrets } from './secrets.ts';

export interface CredentialsDependencies {
  storage: Storage;
  registry: { snapshot(): Snapshot };
  secrets: Pick<Secrets, 'open'>;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
}

/** The broker: providers as they are declared, the leases that they issue, and what takes them back. */
export interface Credentials {
  leases: Leases;
  /** Ends what is due. Called by a timer, and whenever there is something to end. */
  reconcile(): Promise<void>;
  /** Whether a provider would issue now. */
  check(provider: string): Promise<void>;
  close(): Promise<void>;
}

export function createCredentials(deps: CredentialsDependencies): Credentials {
  const { registry, secrets, log } = deps;
  /** Opened once for each declaration; a changed one is another. */
  const opened = new Map<string, { manifest: CredentialProviderManifest; provider: Provider }>();

  function providerOf(manifest: CredentialProviderManifest): Provider {
    const there = opened.get(manifest.name);
    if (there && canonicalJson(there.manifest) === canonicalJson(manifest)) return there.provider;
    const provider = openProvider(manifest, { openSecret: secrets.open });
    opened.set(manifest.name, { manifest, provider });
    // What is under way with the old one ends by itself.
    there?.provider
      .close()
      .catch((error) => log.warn('a provider could not be closed', { provider: manifest.name, error }));
    return provider;
  }

  function declared(name: string): CredentialProviderManifest {
    const manifest = registry.snapshot().credentialProviders.get(name);
    if (manifest) return manifest;
    throw new GatehouseError(
      'not-found',
      'provider.unknown',
      `There is no credential provider "${name}". \`gatehouse providers\` lists them.`,
    );
  }

  const reconciler = createReconciler({
    ...deps,
    // As it is declared now: its address or its secret may have changed. As it was, where it is declared no more.
    openFor: (name, was) =>
      providerOf(registry.snapshot().credentialProviders.get(name) ?? (was as CredentialProviderManifest)),
  });
  const wake = () => {
    reconciler.work().catch((error) => log.error('credentials could not be ended', { error }));
  };
  const leases = createLeases({
    ...deps,
    wake,
    async open(name, environment) {
      const manifest = declared(name);
      if (!manifest.environments.includes(environment))
        throw new GatehouseError(
          'forbidden',
          'provider.environment',
          `The provider "${name}" issues nothing in ${environment}.`,
        );
      const guard: Guard = { key: 'policy', version: registry.snapshot().fences.get('policy') ?? 0 };
      return { provider: providerOf(manifest), guard, life: manifest.life, declared: manifest as unknown as Json };
    },
  });

  return {
    leases,
    reconcile: () => reconciler.work(),
    async check(name) {
      await providerOf(declared(name)).check(AbortSignal.timeout(10_000));
    },
    async close() {
      await reconciler.close();
      await Promise.all([...opened.values()].map(({ provider }) => provider.close()));
    },
  };
}
