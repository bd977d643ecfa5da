import type { Decision, Task, TaskParameters } from '@gatehouse/protocol';
import { isJsonObject, type Json } from '../platform/index.ts';
import type { Agent, RegisteredTool } from '../registry/index.ts';
import { policyLimits } from './cedar/limits.ts';
import type { LoadedPolicy } from './load.ts';
import type { PolicyRequest, PolicyUser } from './types.ts';

/** No policy permits this tool to this task at all. */
export function notPermitted(agent: Agent, task: Task, tool: RegisteredTool, policies: Iterable<LoadedPolicy>): string {
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
  policies: Iterable<LoadedPolicy>,
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

export function forbidden(determining: LoadedPolicy[]): string {
  const reasons = determining.map(({ id, json }) => json.annotations?.reason ?? `policy ${id} forbids it`);
  return `Forbidden: ${reasons.join('; ')}.`;
}

/** Permitted, if a person approves: policies say so and not the tool's own tier. */
export function raisedTo3(ref: string, raisers: LoadedPolicy[]): Pick<Decision, 'effect' | 'tier' | 'code' | 'reason'> {
  const reasons = raisers
    .filter(({ json }) => json.annotations?.tier === '3')
    .map(({ id, json }) => json.annotations?.reason ?? `policy ${id} asks for it`);
  const reason = `${ref} has to be approved by a person, this exact call: ${reasons.join('; ')}.`;
  return { effect: 'needs-approval', tier: 3, code: 'policy.raised', reason };
}

/** Some permit is for this tool and this template, but its conditions do not hold for these arguments. */
export function explainUnmet(request: Pick<PolicyRequest, 'arguments' | 'tool'>, task: Task, unmet: Unmet[]): string {
  return `Template "${task.template}" allows ${request.tool.ref} only under conditions: ${unmetConditions(request.arguments, unmet)}. Call it with those, or start a task whose parameters fit.`;
}

/** Groups and policies permit the person this tool, but not with these arguments. */
export function explainUnmetFor(
  { email }: PolicyUser,
  request: Pick<PolicyRequest, 'arguments' | 'tool'>,
  unmet: Unmet[],
): string {
  return `${email}, for whom this task acts, may use ${request.tool.ref} only under conditions: ${unmetConditions(request.arguments, unmet)}. Call it with those, or ask an admin.`;
}

/** What a permit asks for, in words as far as they do not depend on what is given: refusals are frequent, and each is explained. */
export interface Unmet {
  words: string;
  /** Null: not of a template or group, so that nobody knows which condition it is. */
  condition: { argument: string; wanted: string | number | boolean | null | undefined } | null;
  /** The first of its policy. */
  begins: boolean;
}

export function unmetOf(candidates: LoadedPolicy[], parameters: TaskParameters): Unmet[] {
  return candidates.flatMap(({ permit, json, id }): Unmet[] => {
    if (json.effect !== 'permit') return [];
    if (!permit) {
      const words = json.annotations?.reason ?? `the conditions of policy ${id} do not hold`;
      return [{ words, condition: null, begins: true }];
    }
    return permit.conditions.map(({ argument, parameter, literal }, at) => {
      const wanted = parameter === null ? literal : parameters[parameter];
      const source = parameter === null ? '' : ` (the task's parameter "${parameter}")`;
      const words = `"${argument}" must be ${JSON.stringify(wanted ?? null)}${source}, not `;
      return { words, condition: { argument, wanted }, begins: at === 0 };
    });
  });
}

function unmetConditions(value: Json, all: Unmet[]): string {
  const given = isJsonObject(value) ? value : {};
  const said: string[] = [];
  for (const { words, condition, begins } of all) {
    if (begins && said.length >= policyLimits.listedInRefusals) return `${said.join('; ')}; and more`;
    let text = words;
    if (condition) {
      const is = Object.hasOwn(given, condition.argument) ? given[condition.argument] : undefined;
      if (condition.wanted !== undefined && is === condition.wanted) continue;
      text += shown(is);
    }
    if (!said.includes(text)) said.push(text);
  }
  return said.length === 1 ? (said[0] as string) : said.join('; ');
}

function listed(refs: Set<string>): string {
  const names = [...refs].sort();
  return names.length > policyLimits.listedInRefusals
    ? `${names.slice(0, policyLimits.listedInRefusals).join(', ')} and ${names.length - policyLimits.listedInRefusals} more`
    : names.join(', ');
}

function shown(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  return text.length > 80 ? `${text.slice(0, 80).toWellFormed()}…` : text;
}
