import type { Task, TaskParameters } from '@gatehouse/protocol';
import { isJsonObject, type Json } from '../platform/index.ts';
import type { Agent, RegisteredTool } from '../registry/index.ts';
import type { CompiledPolicy } from './compile.ts';
import type { PolicyRequest, PolicyUser } from './types.ts';

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
    if (permit?.holder.kind !== 'Template') continue;
    if (permit.holder.name === task.template && !/#(?!resources|prompts)/.test(permit.subject))
      allowed.add(permit.subject);
    else if (permit.subject === tool.ref) elsewhere.add(permit.holder.name);
  }
  const uses = allowed.size > 0 ? `It allows: ${listed(allowed)}.` : 'It allows no tools.';
  const instead = elsewhere.size > 0 ? ` Start a task under ${listed(elsewhere)}, if this agent may, or ask` : ' Ask';
  return `Template "${task.template}" does not allow ${tool.ref}. ${uses}${instead} ${agent.manifest.owner} (the owner) to extend the template.`;
}

/** The person's side of a delegated task. */
export function notPermittedTo(
  user: PolicyUser | null,
  email: string,
  tool: RegisteredTool,
  policies: Iterable<CompiledPolicy>,
): string {
  if (!user) return `${email}, for whom this task acts, is not a person of this workspace, and so permits nothing.`;
  const groups = new Set<string>();
  for (const { permit } of policies)
    if (permit?.holder.kind === 'Group' && permit.subject === tool.ref) groups.add(permit.holder.name);
  const isIn = user.groups.length > 0 ? `is in ${listed(new Set(user.groups))}` : 'is in no group';
  const instead =
    groups.size > 0
      ? `Ask an admin to add them to ${listed(groups)}, which may.`
      : 'Ask an admin for a group that may use it.';
  return `${email}, for whom this task acts, may not use ${tool.ref}: ${email} ${isIn}, and no policy permits it to them. ${instead}`;
}

export function narrowedAway({ narrowing }: Task, tool: RegisteredTool): string {
  const patterns = new Set(narrowing?.tools ?? []);
  return `This task was narrowed to ${listed(patterns) || 'no tools at all'}, and ${tool.ref} is not among them. Ask whoever started or handed on the task for a wider one.`;
}

export function forbidden(determining: CompiledPolicy[]): string {
  const reasons = determining.map(({ id, json }) => json.annotations?.reason ?? `policy ${id} forbids it`);
  return `Forbidden: ${reasons.join('; ')}.`;
}

/** Some permit is for this tool and this template, but its conditions do not hold for these arguments. */
export function explainUnmet(
  request: Pick<PolicyRequest, 'arguments' | 'task' | 'tool'>,
  candidates: CompiledPolicy[],
): string {
  const unmet = unmetConditions(request.arguments, request.task.parameters, candidates);
  return `Template "${request.task.template}" allows ${request.tool.ref} only under conditions: ${unmet.join('; ')}. Call it with those, or start a task whose parameters fit.`;
}

/** Groups and policies permit the person this tool, but not with these arguments. */
export function explainUnmetFor(
  { email }: PolicyUser,
  request: Pick<PolicyRequest, 'arguments' | 'tool'>,
  candidates: CompiledPolicy[],
): string {
  return `${email}, for whom this task acts, may use ${request.tool.ref} only under conditions: ${unmetConditions(request.arguments, {}, candidates).join('; ')}. Call it with those, or ask an admin.`;
}

function unmetConditions(value: Json, parameters: TaskParameters, candidates: CompiledPolicy[]): string[] {
  const given = isJsonObject(value) ? value : {};
  return candidates.flatMap(({ permit, json, id }) => {
    if (json.effect !== 'permit') return [];
    if (!permit) return [json.annotations?.reason ?? `the conditions of policy ${id} do not hold`];
    return permit.conditions.flatMap(({ argument, parameter, literal }) => {
      const wanted = parameter === null ? literal : parameters[parameter];
      if (wanted !== undefined && given[argument] === wanted) return [];
      const source = parameter === null ? '' : ` (the task's parameter "${parameter}")`;
      return [`"${argument}" must be ${JSON.stringify(wanted ?? null)}${source}, not ${shown(given[argument])}`];
    });
  });
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
