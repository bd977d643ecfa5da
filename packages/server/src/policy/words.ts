import { type Expr, policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import { NAMESPACE } from './schema.ts';

/** One condition of a policy, which holds or not by itself. */
export interface Clause {
  expression: Expr;
  /** False: it holds when the expression does not (`unless`, `!`). */
  positive: boolean;
}

/** What has to hold for a policy to apply: `when { a && b } unless { c || d }` are four clauses. */
export function clausesOf(conditions: readonly { kind: 'when' | 'unless'; body: Expr }[]): Clause[] {
  return conditions.flatMap(({ kind, body }) => split(body, kind === 'when'));
}

function split(expression: Expr, positive: boolean): Clause[] {
  const node = expression as Record<string, never>;
  const joined = node[positive ? '&&' : '||'] as { left: Expr; right: Expr } | undefined;
  if (joined) return [...split(joined.left, positive), ...split(joined.right, positive)];
  const negated = node['!'] as { arg: Expr } | undefined;
  if (negated) return split(negated.arg, !positive);
  return [{ expression, positive }];
}

export function clauseText({ expression, positive }: Clause): string {
  const text = cedarText(expression);
  return positive ? text : `!(${text})`;
}

/** As the official engine writes it. */
function cedarText(expression: Expr): string {
  const answer = policyToText({
    effect: 'permit',
    principal: { op: 'All' },
    action: { op: 'All' },
    resource: { op: 'All' },
    conditions: [{ kind: 'when', body: expression }],
  });
  if (answer.type === 'failure') return JSON.stringify(expression);
  return /when\s*\{\s*(.*?)\s*\}\s*;?\s*$/s.exec(answer.text)?.[1]?.replaceAll(/\s+/g, ' ') ?? answer.text;
}

/** A clause for people who do not read Cedar. */
export function inWords({ expression, positive }: Clause): string {
  return say(expression, positive);
}

type Binary = { left: Expr; right: Expr };

const relations: Record<string, [string, string]> = {
  '==': ['is', 'is not'],
  '!=': ['is not', 'is'],
  '<': ['is less than', 'is not less than'],
  '<=': ['is at most', 'is more than'],
  '>': ['is more than', 'is at most'],
  '>=': ['is at least', 'is less than'],
  contains: ['has', 'has not'],
  containsAll: ['has all of', 'has not all of'],
  containsAny: ['has one of', 'has none of'],
};

const flags: Record<string, [string, string]> = {
  'context.firstUse': ['the agent uses this tool for the first time', 'the agent has used this tool before'],
  'context.anomalous': [
    'the call is unlike what the agent usually does',
    'the call is like what the agent usually does',
  ],
  'context.flow.untrusted': ['the task has seen untrusted content', 'the task has seen no untrusted content'],
  'context.flow.reachesNobody': ['the call reaches nobody new', 'the call may reach somebody new'],
  'context.flow.textless': ['nothing in the call can carry a text', 'something in the call can carry a text'],
};

const kinds: Record<string, string> = {
  Template: 'under template',
  Environment: 'in environment',
  Blueprint: 'of blueprint',
  Agent: 'of agent',
  Group: 'in group',
  ToolServer: 'of server',
};

function say(expression: Expr, positive: boolean): string {
  const [operator = ''] = Object.keys(expression);
  const operands = (expression as Record<string, unknown>)[operator];
  const yes = (words: string, no: string) => (positive ? words : no);
  const path = pathOf(expression);
  const flag = path && flags[path.join('.')];
  if (flag) return yes(...flag);
  if (operator === '!') return say((operands as { arg: Expr }).arg, !positive);
  if (operator === '&&' || operator === '||') {
    const { left, right } = operands as Binary;
    const word = (operator === '&&') === positive ? 'and' : 'or';
    const parts = [say(left, positive), say(right, positive)];
    return word === 'or' ? `either ${parts[0]} or ${parts[1]}` : parts.join(' and ');
  }
  if (operator === 'contains') {
    const special = inSets(operands as Binary, positive);
    if (special) return special;
  }
  const relation = relations[operator];
  if (relation) {
    const { left, right } = operands as Binary;
    return `${noun(left)} ${yes(...relation)} ${noun(right)}`;
  }
  if (operator === 'has') {
    const { left, attr } = operands as { left: Expr; attr: string | string[] };
    const whole = [...(pathOf(left) ?? [cedarText(left)]), ...[attr].flat()];
    return `${nounOfPath(whole)} ${yes('is given', 'is not given')}`;
  }
  if (operator === 'like')
    return `${noun((operands as { left: Expr }).left)} ${yes('is', 'is not')} like ${pattern(operands)}`;
  if (operator === 'in' || operator === 'is') return membership(operator, operands, positive);
  if (operator === 'Value')
    return yes(`${JSON.stringify(operands)} (always the same)`, `not ${JSON.stringify(operands)}`);
  return yes(cedarText(expression), `not (${cedarText(expression)})`);
}

function inSets({ left, right }: Binary, positive: boolean): string | undefined {
  const path = pathOf(left);
  const [root, member, which = ''] = path ?? [];
  const value = literal(right);
  if (root !== 'context' || typeof value !== 'string') return undefined;
  if (member === 'calendars') return `calendar "${value}" is ${positive ? 'open' : 'closed'}`;
  if (member === 'flow' && which === 'sensitive')
    return `the task has ${positive ? '' : 'not '}seen sensitive data (${value})`;
  if (member !== 'provenance') return undefined;
  const origin =
    {
      stated: 'comes from what the task was told',
      trusted: 'comes from a trusted result',
      endorsed: 'was endorsed by a person',
      derived: 'was made or worked out by the task itself',
      untrusted: 'comes from an untrusted result',
      unknown: 'comes from nowhere known',
    }[which] ?? which;
  return positive ? `"${value}" ${origin}` : `it is not so that "${value}" ${origin}`;
}

function membership(operator: string, operands: unknown, positive: boolean): string {
  const not = positive ? '' : 'not ';
  if (operator === 'is') {
    const { left, entity_type: type, in: within } = operands as { left: Expr; entity_type: string; in?: Expr };
    return `${noun(left)} is ${not}a ${shortType(type)}${within ? ` within ${noun(within)}` : ''}`;
  }
  const { left, right } = operands as Binary;
  const entity = literalEntity(right);
  const kind = entity && kinds[shortType(entity.type)];
  if (entity && kind) return `${noun(left)} is ${not}${kind} "${entity.id}"`;
  return `${noun(left)} is ${not}in ${noun(right)}`;
}

function noun(expression: Expr): string {
  const path = pathOf(expression);
  if (path) return nounOfPath(path);
  const entity = literalEntity(expression);
  if (entity) return `${shortType(entity.type).toLowerCase()} "${entity.id}"`;
  const among = 'Set' in expression ? (expression.Set as Expr[]).map(literalEntity) : [];
  if (among.length > 0 && !among.includes(undefined))
    return among.map((each) => `${shortType(each?.type ?? '').toLowerCase()} "${each?.id}"`).join(' or ');
  const value = literal(expression);
  return value === undefined ? cedarText(expression) : JSON.stringify(value);
}

function nounOfPath([root = '', ...members]: readonly string[]): string {
  const [first, ...rest] = members;
  const inner = rest.join('.');
  if (root === 'context' && first === 'arguments') return rest.length > 0 ? `"${inner}"` : 'the arguments';
  if (root === 'context' && first === 'now') return 'the time';
  if (root === 'context' && first === 'address') return 'the caller’s address';
  if (root === 'context' && first === 'ticket') return rest.length > 0 ? `the ticket’s ${inner}` : 'a ticket';
  if (root === 'context' && first === 'changeRequest')
    return rest.length > 0 ? `the change request’s ${inner}` : 'a change request';
  if (root === 'principal' && first === 'parameters')
    return rest.length > 0 ? `the task’s parameter "${inner}"` : 'the task’s parameters';
  const of =
    { principal: 'the task', resource: 'the tool', action: 'the action', context: 'the context' }[root] ?? root;
  return members.length > 0 ? `${of}’s ${members.join('.')}` : of;
}

/** `context.arguments.a.b` as its names, if an expression is nothing but that. */
export function pathOf(expression: Expr): string[] | undefined {
  if ('Var' in expression) return [expression.Var as string];
  if (!('.' in expression)) return undefined;
  const { left, attr } = expression['.'] as { left: Expr; attr: string };
  const before = pathOf(left);
  return before && [...before, attr];
}

function literal(expression: Expr): unknown {
  if ('Value' in expression) return expression.Value;
  if ('Set' in expression) {
    const values = (expression.Set as Expr[]).map(literal);
    return values.includes(undefined) ? undefined : values;
  }
  return undefined;
}

export function literalEntity(expression: Expr): { type: string; id: string } | undefined {
  const value = literal(expression);
  if (typeof value !== 'object' || value === null || !('__entity' in value)) return undefined;
  return value.__entity as { type: string; id: string };
}

const shortType = (type: string) => (type.startsWith(`${NAMESPACE}::`) ? type.slice(NAMESPACE.length + 2) : type);

function pattern(operands: unknown): string {
  const { pattern: parts } = operands as { pattern: ('Wildcard' | { Literal: string })[] };
  return JSON.stringify(parts.map((part) => (part === 'Wildcard' ? '*' : part.Literal)).join(''));
}
