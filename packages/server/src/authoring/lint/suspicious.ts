import type { PolicyProblem } from '@gatehouse/protocol';
import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import { clauseText, inWords } from '../../policy/index.ts';
import { type Fact, type Facts, type Finding, nameOf } from './facts.ts';
import { contradiction, type Literal } from './literal.ts';

/** What was probably meant otherwise. */
export function suspicious(given: Facts): PolicyProblem[] {
  const { facts, finding } = given;
  return [
    ...facts.flatMap((fact) =>
      [
        ...impossible(given, fact),
        ...constant(fact),
        ...inverted(fact),
        ...swapped(given, fact),
        ...unfinished(given, fact),
      ].map((each) => finding(fact, each)),
    ),
    ...oddOnesOut(given),
  ];
}

/** Compares an argument with what it can't be, by the schemas of all tools that the policy is about. */
function* impossible({ workspace }: Facts, { literals, subjects }: Fact): Iterable<Finding> {
  const pair = contradiction(literals);
  if (pair)
    yield {
      code: 'impossible',
      severity: 'error',
      message: `it never applies: it asks that ${inWords(pair[0])} and that ${inWords(pair[1])}`,
      help: 'correct one of the two',
    };
  for (const literal of literals) {
    const { path, operator, value } = literal;
    if (!path?.startsWith('context.arguments.') || operator === null || value === undefined) continue;
    const names = path.split('.').slice(2);
    const schemas = [...subjects].map((ref) => schemaAt(workspace, ref, names)).filter((each) => each !== undefined);
    const verdicts = schemas.map((schema) => verdict(schema, operator, value));
    const [first] = verdicts;
    if (first === undefined || verdicts.some((each) => each !== first)) continue;
    const holds = first === literal.positive;
    yield {
      code: holds ? 'always-true' : 'impossible',
      severity: holds ? 'warning' : 'error',
      message: `by the tool’s schema it is ${holds ? 'always' : 'never'} so that ${inWords(literal)}`,
      help: 'compare with a value that the argument can have',
    };
  }
}

function schemaAt(workspace: Facts['workspace'], ref: string, path: readonly string[]): JsonObject | undefined {
  const [server = '', tool = ''] = ref.split('/');
  let at: unknown = workspace.servers.get(server)?.tools.get(tool)?.definition?.inputSchema;
  for (const name of path) at = isJsonObject(at) && isJsonObject(at.properties) ? at.properties[name] : undefined;
  return isJsonObject(at) ? at : undefined;
}

/** What a comparison always gives, if it does. */
function verdict(schema: JsonObject, operator: '==' | '<' | '>', value: unknown): boolean | undefined {
  if (operator === '==') {
    const values = Array.isArray(schema.enum) ? schema.enum : 'const' in schema ? [schema.const] : undefined;
    if (values) return values.includes(value as never) ? (values.length === 1 ? true : undefined) : false;
    if (typeof value === 'string') {
      const { minLength, maxLength } = schema;
      if (typeof maxLength === 'number' && [...value].length > maxLength) return false;
      if (typeof minLength === 'number' && [...value].length < minLength) return false;
      return undefined;
    }
  }
  if (typeof value !== 'number') return undefined;
  const least = typeof schema.minimum === 'number' ? schema.minimum : -Infinity;
  const most = typeof schema.maximum === 'number' ? schema.maximum : Infinity;
  if (operator === '==') return value < least || value > most ? false : undefined;
  if (operator === '>') return least > value ? true : most <= value ? false : undefined;
  return most < value ? true : least >= value ? false : undefined;
}

/** Whatever is asked, the answer is the same. */
function* constant({ literals }: Fact): Iterable<Finding> {
  for (const literal of literals) {
    const { expression, positive } = literal;
    const node = expression as Record<string, { left?: unknown; right?: unknown }>;
    const [operator = ''] = Object.keys(node);
    const compared = node[operator];
    const isSame =
      operator === '==' && compared && JSON.stringify(compared.left) === JSON.stringify(compared.right)
        ? true
        : undefined;
    const value = 'Value' in expression ? expression.Value : isSame;
    if (typeof value !== 'boolean') continue;
    yield value === positive
      ? { code: 'always-true', message: 'a condition of it always holds', help: 'say what is meant, or leave it out' }
      : {
          code: 'impossible',
          severity: 'error',
          message: 'a condition of it never holds, so that it never applies',
          help: 'say what is meant, or take the policy out',
        };
  }
}

/** What vouches for a call, and what speaks against it. */
const vouching = /^context\.provenance\.(stated|trusted|endorsed|derived)$/;
const doubting = /^context\.(provenance\.(untrusted|unknown)|flow\.untrusted|anomalous|firstUse)$/;

/** Forbids what is vouched for, or permits only what is doubtful. */
function* inverted({ effect, literals, policy }: Fact): Iterable<Finding> {
  for (const literal of literals) {
    const looks = looksAt(literal);
    const [good, bad] = [vouching.test(looks ?? ''), doubting.test(looks ?? '')];
    const isGoodSign = good === literal.positive;
    if ((good || bad) && isGoodSign !== (effect === 'permit'))
      yield {
        code: 'inverted',
        severity: 'error',
        message:
          effect === 'permit'
            ? `it permits only what is doubtful: ${inWords(literal)}`
            : `it ${effect === 'raise' ? 'asks about' : 'forbids'} what is vouched for, and lets the rest pass: ${inWords(literal)}`,
        help: effect === 'permit' ? 'turn the condition round' : '`unless` instead of `when`, or the other set',
      };
    if (effect === 'forbid' && literal.positive && isOwnParameter(literal))
      yield {
        code: 'inverted',
        severity: 'error',
        message: `it forbids exactly what the task is about: ${inWords(literal)}`,
        help: 'write `unless` instead of `when`, or != instead of ==',
      };
  }
  if (policy.permit) return;
}

/** The set that something is looked for in, or the flag itself. */
function looksAt({ expression }: Literal): string | undefined {
  const node = expression as Record<string, { left?: unknown; arg?: unknown; attr?: unknown } | undefined>;
  const inner = node.contains?.left ?? node.containsAny?.left ?? node.containsAll?.left;
  return dotted(inner ?? (node['.'] ? expression : undefined));
}

function dotted(node: unknown): string | undefined {
  if (!isJsonObject(node)) return undefined;
  if (typeof node.Var === 'string') return node.Var;
  const step = node['.'];
  const before = isJsonObject(step) ? dotted(step.left) : undefined;
  return isJsonObject(step) && before !== undefined ? `${before}.${String(step.attr)}` : undefined;
}

function isOwnParameter({ expression, operator }: Literal): boolean {
  if (operator !== '==') return false;
  const { left, right } = (expression as { '==': { left: unknown; right: unknown } })['=='];
  const sides = [dotted(left), dotted(right)];
  return (
    sides.some((side) => side?.startsWith('context.arguments.')) &&
    sides.some((side) => side?.startsWith('principal.parameters.'))
  );
}

/** An argument tied to the parameter that is called like another argument of the tool, or has another's name. */
function* swapped({ subjects }: Facts, { policy, literals, subjects: refs }: Fact): Iterable<Finding> {
  const pairs = policy.permit
    ? policy.permit.conditions.flatMap(({ argument, parameter }) =>
        parameter === null ? [] : [[argument, parameter] as const],
      )
    : literals.flatMap((literal) => {
        if (!isOwnParameter(literal)) return [];
        const { left, right } = (literal.expression as { '==': { left: unknown; right: unknown } })['=='];
        const names = [dotted(left), dotted(right)].sort().map((side) => side?.split('.').slice(2).join('.') ?? '');
        return [[names[0] ?? '', names[1] ?? ''] as const];
      });
  const given = new Set([...refs].flatMap((ref) => Object.keys(subjects.get(ref)?.arguments ?? {})));
  for (const [argument, parameter] of pairs)
    if (argument !== parameter && given.has(parameter))
      yield {
        code: 'swapped',
        severity: 'error',
        message: `"${argument}" is tied to the parameter "${parameter}", and the tool has an argument "${parameter}" of its own`,
        help: `is \`${parameter}: $${parameter}\` meant?`,
      };
}

const placeholder = /\b(TODO|FIXME|XXX|TBD|not (yet )?implemented|unfinished|placeholder)\b/i;

/** What somebody has left for later. */
function* unfinished({ workspace }: Facts, { policy }: Fact): Iterable<Finding> {
  if (policy.permit) {
    const { kind, name } = policy.permit.holder;
    const description = (kind === 'Template' ? workspace.templates : workspace.groups).get(name)?.description ?? '';
    if (placeholder.test(description))
      yield {
        code: 'unfinished',
        path: 'description',
        message: `its description says that it is not finished: ${description}`,
        help: 'finish it',
      };
    return;
  }
  const text = String(policy.source);
  const name = policy.id.slice(0, policy.id.indexOf('#'));
  const cedar = workspace.policies.get(name)?.cedar ?? '';
  const before = /(?:\/\/[^\n]*\n\s*)+$/.exec(cedar.slice(0, policy.offset))?.[0] ?? '';
  const [said] = placeholder.exec(before + text) ?? [];
  if (said)
    yield { code: 'unfinished', severity: 'error', message: `it says "${said}"`, help: 'finish it, or take it out' };
  if (hasConstantBranch(policy.json.conditions))
    yield {
      code: 'unfinished',
      message: 'a branch of `if` is always the same',
      help: 'say what is meant there, or write the condition with && and ||',
    };
}

function hasConstantBranch(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(hasConstantBranch);
  if (!isJsonObject(node)) return false;
  const branches = node['if-then-else'];
  if (
    isJsonObject(branches) &&
    [branches.then, branches.else].some((each) => isJsonObject(each) && typeof each.Value === 'boolean')
  )
    return true;
  return Object.values(node).some(hasConstantBranch);
}

/** Where several policies ask the same of different tools, and one of them asks the opposite. */
function oddOnesOut({ facts, finding }: Facts): PolicyProblem[] {
  const written = facts.filter(({ policy }) => !policy.permit);
  const groups = Map.groupBy(
    written.flatMap((fact) => fact.literals.map((literal) => ({ fact, literal }))),
    ({ fact, literal }) => JSON.stringify([fact.effect, literal.key]),
  );
  return [...groups.values()].flatMap((group) => {
    const [yes, no] = [true, false].map((wanted) => group.filter(({ literal }) => literal.positive === wanted));
    if (!yes || !no || yes.length === no.length) return [];
    const [few, many] = yes.length < no.length ? [yes, no] : [no, yes];
    if (few.length !== 1 || many.length < 2) return [];
    return few.map(({ fact, literal }) =>
      finding(fact, {
        code: 'inverted-sibling',
        message: `it asks the opposite of ${many
          .map((each) => nameOf(each.fact))
          .slice(0, 3)
          .join(', ')}: ${clauseText(literal)}`,
        help: 'is `unless` meant, or `when`?',
      }),
    );
  });
}
