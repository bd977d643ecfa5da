import type { BudgetManifest } from '@gatehouse/protocol';
import { GatehouseError, isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import { isTimeZone } from './calendar-window.ts';
import { type Covering, coveringOf } from './covering.ts';
import { budgetLimits } from './limits.ts';

interface Problem {
  path: string;
  message: string;
}

export type BudgetProblem = Problem & { name: string };

/**
 * What is wrong with budgets that could not count: their windows, and the arguments that they look at in every tool that they cover, as far
 * as somebody has seen its definition. A tool that changes later so that it can't be counted is refused call by call.
 */
export function budgetProblems(snapshot: Pick<Snapshot, 'budgets' | 'servers'>): BudgetProblem[] {
  if (snapshot.budgets.size > budgetLimits.budgets)
    return [{ name: '', path: '', message: `A workspace has at most ${budgetLimits.budgets} budgets.` }];
  return [...snapshot.budgets.values()].flatMap((budget) => {
    const problem = ownProblem(budget) ?? toolProblem(snapshot, budget);
    return problem ? [{ name: budget.name, ...problem }] : [];
  });
}

/** Throws with all of it. */
export function checkBudgets(snapshot: Pick<Snapshot, 'budgets' | 'servers'>): void {
  const problems = budgetProblems(snapshot);
  const [first] = problems;
  if (!first) return;
  const { name, path, message } = first;
  const where = ['Budget', name].filter(Boolean).join(' ');
  const more = problems.length > 1 ? ` And ${problems.length - 1} more.` : '';
  throw new GatehouseError(
    'bad-request',
    'manifest.invalid',
    `Nothing was changed. ${where}${path && `, ${path}`}: ${message}${more}`,
    { extra: { problems: problems.slice(0, budgetLimits.budgets).map((each) => ({ kind: 'Budget', ...each })) } },
  );
}

function ownProblem({ tools, effects, domains, window, zone, limit, per }: BudgetManifest): Problem | undefined {
  if (!tools && !effects && !domains)
    return {
      path: 'tools',
      message: 'It covers nothing. Name `tools`, `effects` or `domains`; `tools: ["*"]` are all tools.',
    };
  if (!isTimeZone(zone))
    return { path: 'zone', message: `"${zone}" is no IANA time zone. Give one like Europe/Berlin.` };
  const needsWindow = (['count', 'items', 'sum'] as const).find((kind) => limit[kind] !== undefined);
  if (needsWindow && window === undefined)
    return {
      path: 'window',
      message: `\`limit.${needsWindow}\` needs a window: hour, day, week, month, task, or { seconds: 3600 }.`,
    };
  if (!needsWindow && window !== undefined)
    return {
      path: 'window',
      message: '`limit.concurrent` alone has no window: it counts what runs now. Take the window out.',
    };
  const isHandOut = (pattern: string) => pattern.endsWith('#credential');
  const handOut = tools?.find(isHandOut);
  if (handOut && limit.concurrent !== undefined)
    return {
      path: 'limit.concurrent',
      message: `${handOut} is handed out at once, so that none run at the same time. Limit them with \`count\` in a window, or with \`perTask\` and \`perHour\` of the provider.`,
    };
  const byArgument = per.some((key) => typeof key !== 'string') || limit.items;
  const looks = byArgument || limit.sum;
  const feature = tools?.find((pattern) => pattern.includes('#') && !isHandOut(pattern));
  const sumsSeconds = !byArgument && limit.sum?.argument === 'seconds' && !limit.sum.currency;
  if (handOut && looks && !sumsSeconds)
    return {
      path: 'tools',
      message: `${handOut} has only \`seconds\` to look at. Give it a budget of its own, with \`count\` or the \`sum\` of its seconds.`,
    };
  if (feature && looks)
    return {
      path: 'tools',
      message: `${feature} has no arguments to look at. Give it a budget of its own, with \`count\` or \`concurrent\`.`,
    };
  return undefined;
}

function toolProblem(snapshot: Pick<Snapshot, 'budgets' | 'servers'>, budget: BudgetManifest): Problem | undefined {
  for (const server of snapshot.servers.values()) {
    for (const tool of server.tools.values()) {
      // What no operator named is prohibited anyway, whatever its arguments.
      if (tool.effects.length === 0) continue;
      const covering = coveringOf(snapshot, tool).find((each) => each.budget.name === budget.name);
      const problem = covering && (covering.problem ?? argumentProblem(tool, covering));
      if (problem) return problem;
    }
  }
  return undefined;
}

function argumentProblem(tool: RegisteredTool, { budget, keys, items, sum, currency }: Covering): Problem | undefined {
  const plain = ['string', 'integer', 'number', 'boolean'];
  const amounts = ['integer', 'number', 'string'];
  const wanted: [string, string[] | null, string[] | null][] = [
    ...keys.map(({ path }, at): [string, string[] | null, string[]] => [`per[${at}]`, path, plain]),
    ['limit.items', items, null],
    ['limit.sum', sum, amounts],
    ['limit.sum.currency', currency, ['string']],
  ];
  for (const [where, path, types] of wanted) {
    const problem = path && pathProblem(tool, path, types, types === plain);
    if (problem) return { path: `${where}.argument`, message: `${problem} Budget ${budget.name} covers ${tool.ref}.` };
  }
  return undefined;
}

/** What the tool's approved schema says against this argument. What the schema leaves open is seen when a call comes. */
function pathProblem(tool: RegisteredTool, path: string[], types: string[] | null, isKey: boolean): string | undefined {
  const whole = path.join('.');
  let schema: Json | undefined = tool.definition?.inputSchema;
  if (!isJsonObject(schema)) return undefined;
  for (const [at, step] of path.entries()) {
    if (!isJsonObject(schema) || isOpen(schema)) return undefined;
    if (step === '*') {
      if (!typesOf(schema).includes('array')) return `"${path.slice(0, at).join('.')}" of ${tool.ref} is no list.`;
      schema = schema.items;
      continue;
    }
    const members: JsonObject = isJsonObject(schema.properties) ? schema.properties : {};
    if (!Object.hasOwn(members, step)) {
      const named = Object.keys(members).slice(0, 20).join(', ') || 'none';
      return `${tool.ref} has no argument "${path.slice(0, at + 1).join('.')}"; it has: ${named}.`;
    }
    schema = members[step];
  }
  if (!types || !isJsonObject(schema) || isOpen(schema)) return undefined;
  // Keys count each element of a list.
  const isList = isKey && typesOf(schema).includes('array');
  const elements = isList && isJsonObject(schema.items) ? schema.items : schema;
  const given = typesOf(elements);
  if (isOpen(elements) || given.some((type) => types.includes(type))) return undefined;
  return `"${whole}" of ${tool.ref} is ${given.join(' or ')}, and a budget needs ${types.join(', ')} there.`;
}

const typesOf = ({ type }: JsonObject): string[] => [type ?? []].flat().map(String);
const isOpen = (schema: JsonObject) => schema.type === undefined && schema.properties === undefined;
