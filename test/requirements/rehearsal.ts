import type { Requirement } from './requirement.ts';

/** Changes of the policies: before they are made, and after (docs/how-to/rehearse-a-policy-change.md). */
const source = 'docs/how-to/rehearse-a-policy-change.md';

export const rehearsal: Requirement[] = [
  {
    id: 'policy.replay',
    promise:
      'Recorded actions are decided again as they would be with a change: without one nothing differs, and what cannot be decided again is counted apart',
    source,
  },
  {
    id: 'policy.versions',
    promise: 'Every state of what decides is kept as a version, with when, by whom, shipped by whom and why',
    source,
  },
  {
    id: 'policy.second-person',
    promise:
      'Where an environment asks for it, a change that could let through what is stopped takes effect only when somebody else than its author has shipped exactly that with a passkey',
    source,
  },
  {
    id: 'policy.observe',
    promise: 'A policy in observe mode changes no decision; what it would have changed is recorded and counted',
    source,
  },
  {
    id: 'policy.rollback',
    promise: 'Going back to a version makes decide what decided then, under the same rules as any other change',
    source,
  },
  {
    id: 'policy.nobody-alone',
    promise:
      'Whoever takes the role or the passkey to ship from the others is not alone by that: who could ship within the last 7 days counts, and a workspace of one person ships its own changes',
    source,
  },
  {
    id: 'policy.host-token-is-nobody',
    promise:
      'What the token of the server’s host proposes is shipped by the yes of two people with passkeys, where there are two',
    source,
  },
  {
    id: 'policy.every-member-judged',
    promise:
      'Every member of every kind of manifest has a verdict of what a change of it comes to, and what has none counts as relaxing',
    source,
  },
];
