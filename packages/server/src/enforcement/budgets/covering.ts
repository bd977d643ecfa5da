import { type BudgetKey, type BudgetManifest, isCountedBy } from '@gatehouse/protocol';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';

/** A budget that covers a tool, with the paths of the arguments that it looks at there; a `problem` where it can't find one. */
export interface Covering {
  budget: BudgetManifest;
  keys: { key: BudgetKey; path: string[] | null }[];
  items: string[] | null;
  sum: string[] | null;
  currency: string[] | null;
  problem: { path: string; message: string } | null;
}

const covered = new WeakMap<Pick<Snapshot, 'budgets'>, Map<string, readonly Covering[]>>();
const NONE: readonly Covering[] = [];

/** Every budget that a call of this tool may count on; found once for each snapshot and tool. */
export function coveringOf(snapshot: Pick<Snapshot, 'budgets'>, tool: RegisteredTool): readonly Covering[] {
  if (snapshot.budgets.size === 0) return NONE;
  let tools = covered.get(snapshot);
  if (!tools) {
    tools = new Map();
    covered.set(snapshot, tools);
  }
  let found = tools.get(tool.ref);
  if (!found) {
    found = [...snapshot.budgets.values()]
      .filter((budget) => covers(budget, tool))
      .map((budget) => resolve(budget, tool));
    tools.set(tool.ref, found);
  }
  return found;
}

export function covers({ tools, effects, domains }: BudgetManifest, tool: RegisteredTool): boolean {
  if (tools && !tools.some((pattern) => isCountedBy(pattern, tool.ref))) return false;
  if (!tools && tool.ref.includes('#')) return false;
  if (effects && !tool.effects.some((effect) => effects.includes(effect))) return false;
  return !domains || (tool.labels.domain !== null && domains.includes(tool.labels.domain));
}

function resolve(budget: BudgetManifest, tool: RegisteredTool): Covering {
  let problem: Covering['problem'] = null;
  const find = (named: { argument?: string | undefined; role?: string | undefined } | undefined, path: string) => {
    if (!named) return null;
    if (named.argument !== undefined) return named.argument.split('.');
    const having = Object.keys(tool.labels.roles).filter((argument) => tool.labels.roles[argument] === named.role);
    if (having.length === 1) return having[0]?.split('.') ?? null;
    problem ??= {
      path: `${path}.role`,
      message:
        having.length === 0
          ? `No argument of ${tool.ref} has the role "${named.role}". Say so in its ToolServer (\`arguments\`), or name the argument.`
          : `${having.join(' and ')} of ${tool.ref} have the role "${named.role}". Name the argument.`,
    };
    return null;
  };
  const { items, sum } = budget.limit;
  return {
    budget,
    keys: budget.per.map((key, at) => ({ key, path: typeof key === 'string' ? null : find(key, `per[${at}]`) })),
    items: find(items, 'limit.items'),
    sum: find(sum, 'limit.sum'),
    currency: sum?.currency?.argument.split('.') ?? null,
    get problem() {
      return problem;
    },
  };
}
