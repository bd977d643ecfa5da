import type { Task } from '@gatehouse/protocol';
import { isJsonObject } from '../platform/index.ts';
import type { Agent, RegisteredTool } from '../registry/index.ts';
import type { CompiledPolicy } from './compile.ts';
import type { PolicyRequest } from './types.ts';

const MAX_LISTED = 12;

/** No policy permits this tool to this task at all. */
export function notPermitted(
  agent: Agent,
  task: Task,
  tool: RegisteredTool,
  policies: Iterable<CompiledPolicy>,
): string {
  const allowed = new Set<string>();
  const elsewhere = new Set<string>();
  for (const { permit } of policies) {
    if (permit?.template === task.template && !/#(?!resources|prompts)/.test(permit.subject))
      allowed.add(permit.subject);
    else if (permit?.subject === tool.ref) elsewhere.add(permit.template);
  }
  const uses = allowed.size > 0 ? `It allows: ${listed(allowed)}.` : 'It allows no tools.';
  const instead = elsewhere.size > 0 ? ` Start a task under ${listed(elsewhere)}, if this agent may, or ask` : ' Ask';
  return `Template "${task.template}" does not allow ${tool.ref}. ${uses}${instead} ${agent.manifest.owner} (the owner) to extend the template.`;
}

export function forbidden(determining: CompiledPolicy[]): string {
  const reasons = determining.map(({ id, json }) => json.annotations?.reason ?? `policy ${id} forbids it`);
  return `Forbidden: ${reasons.join('; ')}.`;
}

/** Some permit is for this tool and this template, but its conditions do not hold for these arguments. */
export function explainUnmet(request: PolicyRequest, candidates: CompiledPolicy[]): string {
  const given = isJsonObject(request.arguments) ? request.arguments : {};
  const unmet = candidates.flatMap(({ permit, json, id }) => {
    if (json.effect !== 'permit') return [];
    if (!permit) return [json.annotations?.reason ?? `the conditions of policy ${id} do not hold`];
    return permit.conditions.flatMap(({ argument, parameter, literal }) => {
      const wanted = parameter === null ? literal : request.task.parameters[parameter];
      if (wanted !== undefined && given[argument] === wanted) return [];
      const source = parameter === null ? '' : ` (the task's parameter "${parameter}")`;
      return [`"${argument}" must be ${JSON.stringify(wanted ?? null)}${source}, not ${shown(given[argument])}`];
    });
  });
  return `Template "${request.task.template}" allows ${request.tool.ref} only under conditions: ${unmet.join('; ')}. Call it with those, or start a task whose parameters fit.`;
}

function listed(refs: Set<string>): string {
  const names = [...refs].sort();
  return names.length > MAX_LISTED
    ? `${names.slice(0, MAX_LISTED).join(', ')} and ${names.length - MAX_LISTED} more`
    : names.join(', ');
}

function shown(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  return text.length > 80 ? `${text.slice(0, 80).toWellFormed()}…` : text;
}
