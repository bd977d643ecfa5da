import type { PolicyManifest } from '@gatehouse/protocol';
import type { LoadedPolicy } from './load.ts';
import type { Subject } from './schema.ts';
import { concerns } from './scope.ts';
import type { PolicySet } from './types.ts';

/** `@mode` on a policy goes before the `mode` of its manifest. */
export function isObserveOnly(
  annotations: Record<string, string | null> | undefined,
  mode: PolicyManifest['mode'],
): boolean {
  return (annotations?.mode ?? mode) === 'observe';
}

/**
 * Two sets decide beside each other: what is enforced, and what would be if everything were. Only the first is ever the answer.
 * INVARIANT: whatever the second says, even an error, changes nothing but what is recorded.
 */
export function observing(
  enforced: PolicySet,
  everything: PolicySet,
  observed: readonly LoadedPolicy[],
  subjects: Iterable<Subject>,
): PolicySet {
  const ids = new Set(observed.map(({ id }) => id));
  const concerned = new Set<string>();
  for (const subject of subjects) if (observed.some(({ json }) => concerns(json, subject))) concerned.add(subject.ref);
  return {
    ...enforced,
    observed: [...ids],
    decide(request) {
      const decision = enforced.decide(request);
      if (!concerned.has(request.tool.ref)) return decision;
      const would = everything.decide(request);
      if (would.effect === decision.effect && would.tier === decision.tier) return decision;
      const { effect, tier, code, policies } = would;
      return { ...decision, observed: { effect, tier, code, policies: policies.filter((id) => ids.has(id)) } };
    },
  };
}
