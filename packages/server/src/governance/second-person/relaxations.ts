import type { ApprovalRuleManifest, Manifest, PolicyManifest, Relaxation } from '@gatehouse/protocol';
import { relaxedPolicies } from '../../policy/index.ts';
import type { Step } from '../../registry/index.ts';
import { type Around, reasonsOf } from './verdicts/index.ts';

/**
 * What a change could newly let through, found from the manifests alone and on the safe side: what is not plainly narrower counts as wider.
 * Empty: it only tightens, or is about something else. `written`: the policies of now.
 */
export function relaxationsOf(
  steps: readonly Pick<Step, 'change' | 'before' | 'after'>[],
  written: Iterable<PolicyManifest> = [],
  /** Of who says yes: they name people by groups and roles, as policies do. */
  rules: Iterable<ApprovalRuleManifest> = [],
): Relaxation[] {
  const policies = sidesOf(steps, 'Policy');
  const control = sidesOf(steps, 'ControlPolicy');
  const texts = [...written, ...policies.before, ...policies.after].map(({ cedar }) => cedar);
  const named = [...rules].map((rule) => JSON.stringify(rule));
  const around: Around = { policies: [...new Set([...texts, ...named])] };
  const found = steps.flatMap(({ change: { kind, name }, before, after }) =>
    reasonsOf(before, after, around).map((why): Relaxation => ({ kind, name, why })),
  );
  // All of them at once: a policy that moves from one manifest to another is the same policy.
  for (const [kind, { before, after }] of [['Policy', policies] as const, ['ControlPolicy', control] as const])
    for (const { name, why } of relaxedPolicies(before, after)) found.push({ kind, name, why });
  return found;
}

function sidesOf(steps: readonly Pick<Step, 'before' | 'after'>[], kind: 'Policy' | 'ControlPolicy') {
  const of = (manifest: Manifest | null): PolicyManifest[] =>
    manifest?.kind === kind ? [{ ...(manifest as PolicyManifest), kind: 'Policy' }] : [];
  return { before: steps.flatMap(({ before }) => of(before)), after: steps.flatMap(({ after }) => of(after)) };
}
