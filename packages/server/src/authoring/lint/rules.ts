import type { PolicyProblem } from '@gatehouse/protocol';
import { canBeMet } from '../../approvals/index.ts';
import type { Facts } from './facts.ts';

/** Rules of who says yes that nobody can meet, and those that nobody names. */
export function rules({ workspace, facts }: Facts): PolicyProblem[] {
  const { approvalRules, templates, groups, servers } = workspace;
  const named = new Set([
    ...facts.flatMap(({ policy }) => (policy.json.annotations?.approvers ?? '').split(',').map((name) => name.trim())),
    ...[...templates.values(), ...groups.values()].flatMap(({ allow }) =>
      allow.flatMap((each) => each.approvers ?? []),
    ),
    ...[...servers.values()].flatMap(({ manifest }) =>
      Object.values(manifest.tools).flatMap((tool) => tool.approvers ?? []),
    ),
  ]);
  return [...approvalRules.values()].flatMap((rule) => [
    ...(canBeMet(rule, workspace)
      ? []
      : [
          of(
            rule.name,
            'unmeetable-rule',
            'not even everybody together could meet it: what it is named for is never approved',
            'name more people, ask fewer of them, or exclude fewer',
          ),
        ]),
    ...(named.has(rule.name)
      ? []
      : [
          of(
            rule.name,
            'unused-rule',
            'no policy, template, group or tool names it',
            'name it with @approvers, or take it out',
          ),
        ]),
  ]);
}

function of(name: string, code: string, message: string, help: string): PolicyProblem {
  const where = { kind: 'ApprovalRule', name, policy: null, path: '', place: null };
  return { ...where, code: `lint.${code}`, severity: 'warning', message, help };
}
