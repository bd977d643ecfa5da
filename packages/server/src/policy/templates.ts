import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { TemplateManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { NAMESPACE, type Subject } from './schema.ts';

/** A permit made from one entry of a template's `allow`, with what it takes to explain a refusal in words. */
export interface TemplatePermit {
  id: string;
  template: string;
  subject: string;
  policy: PolicyJson;
  conditions: { argument: string; parameter: string | null; literal: string | number | boolean | null }[];
}

/** What every task of a template that uses a server at all may answer that server, if the operator granted it to the server. */
const impliedFeatures = ['sampling', 'elicitation', 'url-elicitation', 'roots', 'tasks'];

export function templatePermits(template: TemplateManifest, subjects: ReadonlyMap<string, Subject>): TemplatePermit[] {
  const permits: TemplatePermit[] = [];
  const servers = new Set<string>();
  template.allow.forEach((entry, index) => {
    for (const pattern of entry.tools) {
      const matched = [...subjects.values()].filter((subject) => matches(pattern, subject.ref));
      if (matched.length === 0 && !pattern.includes('*')) {
        throw invalid(
          template.name,
          `allow[${index}] names "${pattern}", which no registered tool server offers. Register it, or correct the name.`,
        );
      }
      for (const subject of matched) {
        servers.add(subject.server);
        permits.push(permit(template, index, subject, entry.when ?? {}));
      }
    }
  });
  for (const subject of subjects.values()) {
    const feature = subject.ref.split('#')[1];
    if (feature && servers.has(subject.server) && impliedFeatures.includes(feature))
      permits.push(permit(template, -1, subject, {}));
  }
  return permits;
}

export function matches(pattern: string, ref: string): boolean {
  if (pattern === ref) return true;
  if (ref.includes('#')) return false;
  return pattern === '*' || (pattern.endsWith('/*') && ref.startsWith(pattern.slice(0, -1)));
}

function permit(
  template: TemplateManifest,
  index: number,
  subject: Subject,
  when: Record<string, string | number | boolean>,
): TemplatePermit {
  const conditions = Object.entries(when).map(([argument, value]) => {
    const parameter = typeof value === 'string' && value.startsWith('$') ? value.slice(1) : null;
    if (!Object.hasOwn(subject.arguments, argument)) {
      throw invalid(
        template.name,
        `allow[${index}].when.${argument}: ${subject.ref} has no argument "${argument}" of a type that policies can compare.`,
      );
    }
    if (parameter !== null && !Object.hasOwn(template.parameters, parameter)) {
      throw invalid(template.name, `allow[${index}].when.${argument}: the template has no parameter "${parameter}".`);
    }
    return { argument, parameter, literal: parameter === null ? value : null };
  });
  const type = (name: string, id: string) => ({ type: `${NAMESPACE}::${name}`, id });
  return {
    id: `template:${template.name}[${index}]:${subject.ref}`,
    template: template.name,
    subject: subject.ref,
    conditions,
    policy: {
      effect: 'permit',
      principal: { op: 'in', entity: type('Template', template.name) },
      action: { op: '==', entity: type('Action', subject.ref) },
      resource: { op: '==', entity: type('Tool', subject.ref) },
      conditions: conditions.map((condition) => ({ kind: 'when', body: equality(condition) })),
    },
  };
}

/** `has` first: strict validation demands it of optional attributes, and an absent one must read as "no". */
function equality({ argument, parameter, literal }: TemplatePermit['conditions'][number]): Expr {
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

function invalid(template: string, problem: string): GatehouseError {
  return new GatehouseError('bad-request', 'policy.invalid', `Template ${template}: ${problem}`, {
    extra: { kind: 'Template', name: template },
  });
}
