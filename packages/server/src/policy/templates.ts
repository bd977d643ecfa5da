import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import {
  type GroupManifest,
  isAllowedBy,
  type Narrowing,
  type TemplateManifest,
  toolPatternMatches,
} from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { grantableText } from './grantable.ts';
import { nearest } from './nearest.ts';
import { directRef, NAMESPACE, type Subject } from './schema.ts';

/** Whose `allow` it is. */
export interface Holder {
  kind: 'Template' | 'Group';
  name: string;
}

/** A permit made from one entry of a template's or a group's `allow`, with what it takes to explain a refusal in words. */
export interface AllowPermit {
  id: string;
  holder: Holder;
  subject: string;
  policy: PolicyJson;
  conditions: { argument: string; parameter: string | null; literal: string | number | boolean | null }[];
}

type Parameters = ReadonlyMap<string, keyof typeof kinds>;

/** What every task of a template that uses a server at all may answer that server, if the operator granted it to the server. */
const impliedFeatures = ['sampling', 'elicitation', 'url-elicitation', 'roots', 'tasks'];

export function templatePermits(template: TemplateManifest, subjects: ReadonlyMap<string, Subject>): AllowPermit[] {
  const parameters = new Map(Object.entries(template.parameters).map(([name, { type }]) => [name, type]));
  const allow = template.allow.map((entry) =>
    template.mask ? { ...entry, mask: [...new Set([...(entry.mask ?? []), ...template.mask])] } : entry,
  );
  const holder = { kind: 'Template', name: template.name } as const;
  return [...allowPermits(holder, allow, parameters, subjects), ...directPermits(holder, template, subjects)];
}

/** That a task of this kind is handed credentials of a provider itself. Nothing in `allow` says so. */
function directPermits(
  holder: Holder,
  { credentials = [] }: TemplateManifest,
  subjects: ReadonlyMap<string, Subject>,
): AllowPermit[] {
  return credentials.flatMap(({ provider, direct }, index) => {
    const subject = direct ? subjects.get(directRef(provider)) : undefined;
    return subject ? [permit(holder, `[credentials.${index}]`, subject, {}, new Map())] : [];
  });
}

/** What its members allow those who act for them. */
export function groupPermits(group: GroupManifest, subjects: ReadonlyMap<string, Subject>): AllowPermit[] {
  return allowPermits({ kind: 'Group', name: group.name }, group.allow, new Map(), subjects);
}

function allowPermits(
  holder: Holder,
  allow: TemplateManifest['allow'],
  parameters: Parameters,
  subjects: ReadonlyMap<string, Subject>,
): AllowPermit[] {
  const permits: AllowPermit[] = [];
  const servers = new Set<string>();
  allow.forEach((entry, index) => {
    for (const [at, pattern] of (entry.tools ?? []).entries()) {
      if (!pattern.includes('*') && !subjects.has(pattern)) {
        throw invalid(
          holder,
          `allow[${index}].tools[${at}]`,
          `no registered tool server offers "${pattern}"`,
          suggestion(pattern, subjects.keys()) ?? 'register it, or correct the name',
        );
      }
    }
    const when = entry.when ?? {};
    for (const subject of subjects.values()) {
      if (!isAllowedBy(entry, subject)) continue;
      // What is allowed by kind is whatever is registered: a condition picks those that have the argument, of its type.
      if (!entry.tools && !Object.entries(when).every((each) => fits(subject, each, parameters))) continue;
      servers.add(subject.server);
      permits.push(permit(holder, `[${index}]`, subject, when, parameters, annotationsOf(entry)));
    }
  });
  // The result of a long-running call comes by a feature: what any entry masks is masked there.
  const masked = allow.flatMap(({ mask }) => mask ?? []);
  const implied = annotationsOf(masked.length > 0 ? { mask: [...new Set(masked)] } : {});
  for (const subject of subjects.values()) {
    const feature = subject.ref.split('#')[1];
    if (feature && servers.has(subject.server) && impliedFeatures.includes(feature))
      permits.push(permit(holder, '[-1]', subject, {}, parameters, implied));
  }
  return permits;
}

const annotationsOf = ({
  mask,
  reveal,
  limit,
  approvers,
  grantable,
}: Pick<TemplateManifest['allow'][number], 'mask' | 'reveal' | 'limit' | 'approvers' | 'grantable'>): Record<
  string,
  string
> => ({
  ...(mask && { mask: mask.join(',') }),
  ...(reveal && { reveal: reveal.join(',') }),
  ...(limit !== undefined && { limit: String(limit) }),
  ...(approvers !== undefined && { approvers }),
  ...(grantable && { grantable: grantableText(grantable) }),
});

function fits(
  subject: Subject,
  [argument, value]: [string, string | number | boolean],
  parameters: Parameters,
): boolean {
  const type = Object.hasOwn(subject.arguments, argument) ? subject.arguments[argument]?.type.kind : undefined;
  if (type === undefined) return false;
  const isParameter = typeof value === 'string' && value.startsWith('$');
  const given = isParameter ? parameters.get(value.slice(1)) : typeof value === 'number' ? 'integer' : typeof value;
  // A parameter that there is not is an error of the template, said where its permits are made.
  return given === undefined || type === kinds[given as keyof typeof kinds];
}

const kinds = { string: 'String', integer: 'Long', boolean: 'Boolean' } as const;

/** Whether a narrowed task may still use this; what a template implies for a server that it names is implied here as well. */
export function isWithin({ tools }: Narrowing, ref: string): boolean {
  if (tools.some((pattern) => toolPatternMatches(pattern, ref))) return true;
  const [server, feature] = ref.split('#');
  if (feature === undefined || !impliedFeatures.includes(feature)) return false;
  return tools.some((pattern) => pattern === '*' || pattern.split(/[/#]/)[0] === server);
}

function permit(
  holder: Holder,
  at: string,
  subject: Subject,
  when: Record<string, string | number | boolean>,
  parameters: Parameters,
  annotations: Record<string, string> = {},
): AllowPermit {
  const conditions = Object.entries(when).map(([argument, value]) => {
    const parameter = typeof value === 'string' && value.startsWith('$') ? value.slice(1) : null;
    if (!Object.hasOwn(subject.arguments, argument)) {
      throw invalid(
        holder,
        `allow${at}.when.${argument}`,
        `${subject.ref} has no argument "${argument}" of a type that policies can compare`,
        suggestion(argument, Object.keys(subject.arguments)),
      );
    }
    if (parameter !== null && !parameters.has(parameter)) {
      throw invalid(
        holder,
        `allow${at}.when.${argument}`,
        `the ${holder.kind.toLowerCase()} has no parameter "${parameter}"`,
        suggestion(parameter, parameters.keys()),
      );
    }
    return { argument, parameter, literal: parameter === null ? value : null };
  });
  const type = (name: string, id: string) => ({ type: `${NAMESPACE}::${name}`, id });
  return {
    id: `${holder.kind.toLowerCase()}:${holder.name}${at}:${subject.ref}`,
    holder,
    subject: subject.ref,
    conditions,
    policy: {
      effect: 'permit',
      ...(Object.keys(annotations).length > 0 && { annotations }),
      principal: { op: 'in', entity: type(holder.kind, holder.name) },
      action: { op: '==', entity: type('Action', subject.ref) },
      resource: { op: '==', entity: type('Tool', subject.ref) },
      conditions: conditions.map((condition) => ({ kind: 'when', body: equality(condition) })),
    },
  };
}

/** `has` first: strict validation demands it of optional attributes, and an absent one must read as "no". */
function equality({ argument, parameter, literal }: AllowPermit['conditions'][number]): Expr {
  const given = member({ Var: 'context' }, 'arguments');
  const allowed = member({ Var: 'principal' }, 'parameters');
  const right: Expr = parameter === null ? { Value: literal } : member(allowed, parameter);
  const equal: Expr = { '==': { left: member(given, argument), right } };
  const present: Expr = { '&&': { left: { has: { left: given, attr: argument } }, right: equal } };
  return parameter === null ? present : { '&&': { left: { has: { left: allowed, attr: parameter } }, right: present } };
}

function member(left: Expr, attr: string): Expr {
  return { '.': { left, attr } };
}

function suggestion(given: string, names: Iterable<string>): string | null {
  const near = nearest(given, names);
  return near === undefined ? null : `did you mean "${near}"?`;
}

function invalid({ kind, name }: Holder, path: string, problem: string, help: string | null): GatehouseError {
  const detail = `${kind} ${name}: ${path}: ${[problem, help].filter(Boolean).join('; ')}`;
  return new GatehouseError('bad-request', 'policy.invalid', detail, { extra: { kind, name, path, problem, help } });
}
