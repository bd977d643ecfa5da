import { type Manifest, manifest } from '@gatehouse/protocol';
import { invalidManifests, type ManifestProblem } from './manifest-problem.ts';
import { keyOf, nameOf } from './objects.ts';

/** Checks shapes once more, whoever called: defaults are filled in, unknown members and two manifests of one name are refused. */
export function parseManifests(given: readonly unknown[]): Manifest[] {
  const problems: ManifestProblem[] = [];
  const parsed = new Map<string, Manifest>();
  for (const [index, each] of given.entries()) {
    const result = manifest.safeParse(each);
    if (!result.success) {
      const { kind, name, email } = (typeof each === 'object' && each ? each : {}) as Record<string, unknown>;
      for (const issue of result.error.issues)
        problems.push({
          kind: typeof kind === 'string' ? kind.slice(0, 40) : `manifest ${index + 1}`,
          name: String(name ?? email ?? '').slice(0, 100),
          path: issue.path.map(String).join('.'),
          message: issue.message,
        });
      continue;
    }
    const key = keyOf(result.data);
    if (parsed.has(key))
      problems.push({
        kind: result.data.kind,
        name: nameOf(result.data),
        path: '',
        message: 'It is there twice. Keep one.',
      });
    parsed.set(key, result.data);
  }
  if (problems.length > 0) throw invalidManifests(problems);
  return [...parsed.values()];
}
