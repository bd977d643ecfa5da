import {
  type ApprovalRuleManifest,
  type ApproverSource,
  type PersonManifest,
  personManifest,
} from '@gatehouse/protocol';
import type { Snapshot } from '../../registry/index.ts';
import { standingOf } from './standing.ts';

const SOMEBODY = 'owner@of-the-agent.invalid';

/**
 * Whether everybody together could meet a rule: on the hopeful side, as if every owner, everybody who is ever on call and everybody to whom it is
 * escalated said yes. Who is in a directory's group is not known here.
 */
export function canBeMet(
  rule: ApprovalRuleManifest,
  { people, groups, onCall }: Pick<Snapshot, 'people' | 'groups' | 'onCall'>,
): boolean {
  const widened = (sources: readonly ApproverSource[]): ApproverSource[] =>
    sources.flatMap((source): ApproverSource[] => {
      if (!source.startsWith('on-call:')) return [source];
      const rota = onCall.get(source.slice('on-call:'.length));
      const ever = [...(rota?.people ?? []), ...(rota?.overrides.flatMap(({ person }) => person ?? []) ?? [])];
      return [...new Set(ever)].map((email): ApproverSource => `person:${email}`);
    });
  const later = rule.escalate.flatMap(({ to }) => to);
  const isUnknown = [...rule.steps.flatMap(({ from }) => from), ...later].some(
    (source) => source.startsWith('group:') && groups.get(source.slice('group:'.length))?.directoryGroup !== undefined,
  );
  if (isUnknown) return true;
  const owner = personManifest.parse({ kind: 'Person', email: SOMEBODY, displayName: 'owner', roles: ['owner'] });
  const everybody = new Map<string, PersonManifest>([...people, [SOMEBODY, owner]]);
  const steps = rule.steps.map((step) => ({ ...step, from: widened([...step.from, ...later]) }));
  const { isMet } = standingOf(
    { ...rule, steps, order: 'parallel', escalate: [] },
    [...everybody.keys()].map((person, at) => ({ person, answer: 'yes', at: 0, number: at + 1 })),
    { owner: SOMEBODY, wants: () => false, policyAuthors: [], createdAt: 0, escalatedSeconds: 0 },
    { snapshot: { people: everybody, groups, onCall, channels: new Map() }, deputies: [] },
    0,
  );
  return isMet;
}
