import type { Snapshot } from '../registry/index.ts';
import type { PolicySet } from './types.ts';

/** Compiles a snapshot's policies once per version of them; decisions and their fence can then never be of two versions. */
export function perVersion(compile: (snapshot: Snapshot) => PolicySet): (snapshot: Snapshot) => PolicySet {
  let compiled: { version: number; set: PolicySet } | undefined;
  return (snapshot) => {
    const version = snapshot.fences.get('policy') ?? 0;
    if (compiled?.version !== version) compiled = { version, set: compile(snapshot) };
    return compiled.set;
  };
}
