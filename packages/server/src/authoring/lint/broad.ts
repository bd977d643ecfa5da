import { type PolicyProblem, toolPatternMatches } from '@gatehouse/protocol';
import type { Subject } from '../../policy/index.ts';
import { type Facts, isGrave } from './facts.ts';

/** What permits more than anybody has probably meant. */
export function broad(given: Facts): PolicyProblem[] {
  return [...written(given), ...entries(given), ...tools(given)];
}

function written({ facts, finding, subjects }: Facts): PolicyProblem[] {
  return facts.flatMap((fact) => {
    if (fact.policy.permit || fact.effect !== 'permit') return [];
    const grave = [...fact.subjects].map((ref) => subjects.get(ref) as Subject).filter(isGrave);
    const { principal, action, resource } = fact.policy.json;
    const everybody = principal.op === 'All' || (principal.op === 'is' && !principal.in);
    const everything = action.op === 'All' && resource.op === 'All';
    if (grave.length === 0 || !(everybody || everything)) return [];
    const whom = everybody ? 'every task' : 'whom it names';
    const what = everything
      ? 'every tool'
      : grave
          .slice(0, 3)
          .map(({ ref }) => ref)
          .join(', ');
    return finding(fact, {
      code: 'broad-permit',
      severity: everybody && everything ? 'error' : 'warning',
      message: `it permits ${what} to ${whom}, with ${grave.length} that can do harm among them`,
      help: 'name a template (principal in Gatehouse::Template::"…") and the action',
    });
  });
}

/** By entry: one of a template or group allows many tools. */
function entries({ workspace, facts, finding, subjects }: Facts): PolicyProblem[] {
  const found: PolicyProblem[] = [];
  const byEntry = Map.groupBy(
    facts.filter(({ policy }) => policy.permit),
    ({ policy }) => policy.id.slice(0, policy.id.indexOf(']:')),
  );
  for (const own of byEntry.values()) {
    const [first] = own as [(typeof own)[0]];
    const { holder } = first.policy.permit ?? { holder: { kind: 'Template' as const, name: '' } };
    const index = Number(/\[(\d+)$/.exec(first.policy.id.slice(0, first.policy.id.indexOf(']:')))?.[1] ?? 0);
    const holders = holder.kind === 'Template' ? workspace.templates : workspace.groups;
    const entry = holders.get(holder.name)?.allow[index];
    const covered = own.map(({ policy }) => subjects.get(policy.permit?.subject ?? '') as Subject);
    const harmful = covered.filter((subject) => isGrave(subject) || subject.tier >= 3);
    const patterns = [...(entry?.tools ?? []).entries()].filter(([, pattern]) => pattern.includes('*'));
    for (const [at, pattern] of entry?.when ? [] : patterns) {
      const under = harmful.filter(({ ref }) => toolPatternMatches(pattern, ref));
      if (under.length === 0) continue;
      const tooBroad = {
        code: 'broad-pattern',
        path: `allow[${index}].tools[${at}]`,
        message: `"${pattern}" allows ${listed(under)}, which can do harm, and whatever the server is given later`,
        help: 'name the tools',
      };
      found.push(finding(first, tooBroad));
    }
    const free = harmful.filter(
      (subject) => isGrave(subject) && !entry?.when && !isConstrained(subject, facts) && takes(subject),
    );
    const named = entry?.tools && patterns.length === 0 ? free : [];
    if (named.length > 0)
      found.push(
        finding(first, {
          code: 'unconditional-grave',
          message: `${listed(named)} can do harm, and no condition says with which arguments`,
          help: 'tie an argument to a parameter of the task (`when`), or forbid what is not meant',
        }),
      );
  }
  return found;
}

/** Names of tools that change something. */
const changing =
  /(^|[-_.])(create|add|insert|append|update|edit|write|set|put|toggle|delete|remove|drop|move|rename|send|post|reply|share|upload|pay|refund|transfer|deploy|merge|execute|run|grant|revoke|invite)([-_.]|$)/i;

const takes = ({ arguments: given }: Subject) => Object.keys(given).length > 0;

/** Some policy looks at its arguments, or at where they come from. */
function isConstrained(subject: Subject, facts: Facts['facts']): boolean {
  return facts.some(
    ({ effect, subjects, policy }) =>
      effect !== 'permit' &&
      subjects.has(subject.ref) &&
      (policy.reads.length > 0 || policy.situation.includes('provenance')),
  );
}

function tools({ workspace }: Facts): PolicyProblem[] {
  return [...workspace.servers.values()].flatMap(({ name, manifest, tools: registered }) =>
    Object.entries(manifest.tools).flatMap(([tool, { tier, effects }]): PolicyProblem[] => {
      const labels = registered.get(tool)?.labels;
      const base = {
        kind: 'ToolServer',
        name,
        policy: null,
        place: null,
        path: `tools.${tool}`,
        severity: 'warning' as const,
      };
      if (effects.every((effect) => effect === 'read') && (tier >= 3 || changing.test(tool)))
        return [
          {
            ...base,
            code: 'lint.effects-understated',
            message: `${name}/${tool} is said to read and nothing else, and ${tier >= 3 ? `is tier ${tier}` : 'its name says otherwise'}: policies about what does harm pass it by`,
            help: 'say what it does: effects: [write], [delete], [send] …',
          },
        ];
      if (!isGrave({ effects })) return [];
      const found: PolicyProblem[] = [];
      if (tier === 1)
        found.push({
          ...base,
          code: 'lint.grave-low-tier',
          message: `${name}/${tool} can do harm (${effects.join(', ')}) and runs without being looked at: it is tier 1`,
          help: 'give it tier 2, 3 or 4',
        });
      const takesSomething = Object.keys(
        (registered.get(tool)?.definition?.inputSchema as { properties?: object })?.properties ?? {},
      );
      if (tier < 4 && takesSomething.length > 0 && Object.keys(labels?.roles ?? {}).length === 0)
        found.push({
          ...base,
          severity: 'info',
          code: 'lint.grave-without-roles',
          message: `nobody has said what the arguments of ${name}/${tool} stand for, so that it is not asked where their values come from`,
          help: 'give a role to those that say to whom or on what it is done: arguments: { NAME: { role: recipient } }',
        });
      return found;
    }),
  );
}

function listed(subjects: readonly Subject[]): string {
  const refs = subjects.map(({ ref }) => ref);
  return refs.length > 3 ? `${refs.slice(0, 3).join(', ')} and ${refs.length - 3} more` : refs.join(', ');
}
