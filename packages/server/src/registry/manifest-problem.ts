import type { Manifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { nameOf } from './objects.ts';

/** What is wrong with one manifest, and where. */
export interface ManifestProblem {
  kind: string;
  name: string;
  /** `environment`, `allow[0].tools[1]`; empty for the whole. */
  path: string;
  message: string;
}

export function missing(kind: string, name: string): string {
  return `There is no ${kind} "${name}". Add its manifest to this apply, or correct the name.`;
}

export function missingEnvironments(
  objects: ReadonlyMap<string, Manifest>,
  manifest: Extract<Manifest, { environments?: string[] | undefined }>,
): ManifestProblem[] {
  return (manifest.environments ?? []).flatMap((environment, at) =>
    objects.has(`Environment/${environment}`)
      ? []
      : [problemOf(manifest)(`environments[${at}]`, missing('Environment', environment))],
  );
}

export function problemOf(manifest: Manifest): (path: string, message: string) => ManifestProblem {
  return (path, message) => ({ kind: manifest.kind, name: nameOf(manifest), path, message });
}

const SHOWN = 10;

/** One error for all that is wrong, so that it can be put right in one go. `extra.problems` has them one by one. */
export function invalidManifests(problems: ManifestProblem[]): GatehouseError {
  const shown = problems.slice(0, SHOWN).map(({ kind, name, path, message }) => {
    const where = [kind, name].filter(Boolean).join(' ');
    return `${where}${path ? `, ${path}` : ''}: ${message}`;
  });
  if (problems.length > SHOWN) shown.push(`… and ${problems.length - SHOWN} more.`);
  return new GatehouseError('bad-request', 'manifest.invalid', `Nothing was changed. ${shown.join('\n')}`, {
    extra: { problems: problems.slice(0, 200) },
  });
}
