import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Effect, PolicyProblem } from '@gatehouse/protocol';
import { concerns, type LoadedPolicy, placeOf, readPolicies, type Subject, subjectsIn } from '../../policy/index.ts';
import type { Authored } from '../workspace.ts';
import { keyOf, type Literal, literalsOf } from './literal.ts';

/** What can do harm. */
export const graveEffects: readonly Effect[] = ['send', 'pay', 'delete', 'export', 'deploy', 'administer'];
export const isGrave = ({ effects }: Pick<Subject, 'effects'>) => effects.some((each) => graveEffects.includes(each));

/** A policy as the rules of the linter look at it. */
export interface Fact {
  policy: LoadedPolicy;
  effect: 'permit' | 'forbid' | 'raise';
  tier: number;
  subjects: ReadonlySet<string>;
  literals: Literal[];
}

export interface Facts {
  workspace: Authored;
  subjects: ReadonlyMap<string, Subject>;
  /** What somebody has written or allowed; without what is built in. */
  facts: Fact[];
  /** Of one of them, at its place. */
  finding(fact: Fact, finding: Finding): PolicyProblem;
}

export interface Finding {
  code: string;
  severity?: PolicyProblem['severity'];
  message: string;
  help: string | null;
  /** In a template or group; else that of the entry. */
  path?: string;
}

export function gather(workspace: Authored): Facts {
  const subjects = subjectsIn(workspace);
  const { policies } = readPolicies(workspace, subjects, { validated: true });
  const facts = [...policies.values()]
    .filter(({ id }) => !id.startsWith('gatehouse/') && !id.includes('[-1]'))
    .map(
      (policy): Fact => ({
        policy,
        effect: policy.raises ? 'raise' : policy.json.effect,
        tier: Number(policy.json.annotations?.tier ?? 0),
        subjects: new Set([...subjects.values()].filter((each) => concerns(policy.json, each)).map(({ ref }) => ref)),
        literals: literalsOf(policy.json.conditions),
      }),
    );
  return {
    workspace,
    subjects,
    facts,
    finding({ policy }, { code, severity = 'warning', message, help, path }) {
      const base = { code: `lint.${code}`, severity, policy: policy.id, message, help };
      if (policy.permit) {
        const { kind, name } = policy.permit.holder;
        const index = /^\[(\d+)\]/.exec(policy.id.slice(kind.length + 1 + name.length))?.[1];
        return { ...base, kind, name, path: path ?? `allow[${index}]`, place: null };
      }
      const name = policy.id.slice(0, policy.id.indexOf('#'));
      const text = workspace.policies.get(name)?.cedar ?? '';
      const place = placeOf(text, policy.offset, policy.offset + String(policy.source).length);
      return { ...base, kind: 'Policy', name, path: 'cedar', place };
    },
  };
}

/** Whether whoever is meant by the one scope is meant by the other. False where that is not seen. */
export function principalCovers(wider: Fact, narrower: Fact): boolean {
  if (wider.policy.isAboutUsers !== narrower.policy.isAboutUsers) return false;
  const [outer, inner] = [wider.policy.json.principal, narrower.policy.json.principal];
  if (outer.op === 'All' || (outer.op === 'is' && !outer.in)) return true;
  return sameScope(outer, inner);
}

type Principal = PolicyJson['principal'];
const sameScope = (one: Principal, other: Principal) => keyOf(one) === keyOf(other);

export function subjectsCover(wider: Fact, narrower: Fact): boolean {
  return narrower.subjects.size > 0 && [...narrower.subjects].every((ref) => wider.subjects.has(ref));
}

/** Named as people know it: the entry of a template, or the policy. */
export function nameOf({ policy }: Fact): string {
  if (!policy.permit) return policy.id;
  const { kind, name } = policy.permit.holder;
  return `${kind.toLowerCase()} ${name}, allow${policy.id.slice(kind.length + 1 + name.length).replace(/\]:.*/, ']')}`;
}
