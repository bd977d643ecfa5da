import { commandToPaste, type Manifest, type PlanWarning, secretsNamedIn } from '@gatehouse/protocol';
import { nameOf } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';

/** Stored secrets that manifests name and that are not there: nothing is wrong with the manifests, and what needs one will fail. */
export async function missingSecrets(
  manifests: readonly Manifest[],
  { secrets, config }: Pick<ApiDependencies, 'secrets' | 'config'>,
): Promise<PlanWarning[]> {
  const named = manifests.flatMap((manifest) =>
    secretsNamedIn(manifest).map((reference) => ({ manifest, ...reference })),
  );
  if (named.length === 0) return [];
  const stored = new Set((await secrets.list()).map(({ name }) => name));
  return named
    .filter(({ secret }) => !stored.has(secret))
    .map(({ manifest, secret, path, destinations }) => {
      const addresses = destinations === 'own' ? [new URL(config.publicUrl).origin] : (destinations ?? [SOMEWHERE]);
      return {
        ...{ code: 'secret.missing' as const, kind: manifest.kind, name: nameOf(manifest), path },
        message: `There is no stored secret "${secret}" yet: what needs it fails until there is.`,
        command: commandToPaste`gatehouse secrets set ${secret} --for ${addresses}` ?? null,
      };
    });
}

/** Where the manifest does not say where it is sent: an authorization server that is only found when it is asked. */
const SOMEWHERE = 'https://WHERE-IT-IS-SENT';
