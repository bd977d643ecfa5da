import type { Approval } from './approvals.ts';

/**
 * What may stand in one list: calls of one tool, as it was approved, by one agent under one template, for the same person and purpose, by the
 * same rules, after the same was read. What a row does not show is the same in all, or one gesture would sign what nobody saw.
 */
export const kindOf = (approval: Approval): string =>
  JSON.stringify([
    approval.agent,
    approval.operation,
    approval.tool,
    approval.toolDefinition,
    approval.template,
    approval.environment,
    approval.intent,
    approval.requestedBy,
    approval.onBehalfOf,
    approval.delegated?.user ?? null,
    approval.owner,
    approval.rules,
    approval.policyAuthors,
    approval.decision.tier,
    approval.decision.reason,
    approval.decision.situation?.untrusted ?? false,
    approval.decision.situation?.sensitive ?? [],
  ]);

/** Names of the arguments that are not the same in all: the columns of the table. Null where arguments are no object. */
export function columnsOf(approvals: readonly Pick<Approval, 'arguments'>[]): string[] | null {
  const all = approvals.map(({ arguments: args }) => args);
  if (!all.every(isObject)) return null;
  const names = new Set(all.flatMap((args) => Object.keys(args)));
  return [...names].filter((name) => new Set(all.map((args) => textOf(args, name))).size > 1);
}

/** One spelling of a value, whatever the order of its members; a missing one differs from every value. */
function textOf(args: Record<string, unknown>, name: string): string {
  if (!Object.hasOwn(args, name)) return '';
  return JSON.stringify(args[name], (_, value: unknown) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
