import type { Approval, ApprovalRisk, Undo } from '@gatehouse/protocol';
import type { ApprovalRequest } from './types.ts';

const FLOW_RULE = 'gatehouse/flow#';

/** What puts an action ahead of others in the inbox: weights that only order, each with its words. */
export function riskOf(
  { decision, origins = [] }: Pick<ApprovalRequest, 'decision' | 'origins'>,
  { undo, isProduction }: { undo: Undo; isProduction: boolean },
): ApprovalRisk {
  const { deviations = [], sensitive = [], untrusted, firstUse } = decision.situation ?? {};
  const found: [number, string | false | undefined][] = [
    [40, isHeldForFlow({ decision, origins }) && 'it is held for what its task has read'],
    [30, undo.possible === 'no' && (undo.isSaid ? 'it can’t be undone' : 'nobody has said that it can be undone')],
    [15, undo.possible === 'partly' && 'it can be undone in part only'],
    [25, deviations.length > 0 && `it is unusual for its agent: ${deviations.map(({ kind }) => kind).join(', ')}`],
    [10, sensitive.length > 0 && `its task has read ${sensitive.join(', ')} data`],
    [10, untrusted && 'its task has read untrusted content'],
    [10, decision.code.startsWith('budget.') && 'it is beyond a budget'],
    [5, firstUse && 'the agent has not used this tool before'],
    [5, isProduction && 'it is in production'],
    [magnitudeOf(origins), magnitudeOf(origins) > 0 && `it is about an amount of ${amountIn(origins)}`],
  ];
  const counting = found.filter((each): each is [number, string] => typeof each[1] === 'string');
  return {
    score: counting.reduce((sum, [weight]) => sum + weight, 0),
    reasons: counting.toSorted(([a], [b]) => b - a).map(([, words]) => words),
  };
}

/**
 * Why an action is signed alone and never in a list, or null. A list is for what is many times the same and can be taken back; what somebody
 * might have talked the agent into, or is unusual, deserves a look of its own.
 */
export function whyAlone(
  approval: Pick<Approval, 'operation' | 'decision' | 'origins' | 'undo' | 'repeats'>,
): string | null {
  if (approval.operation !== 'tools/call') return 'It is no call of a tool.';
  if (approval.repeats) return 'It may have run before.';
  if (isHeldForFlow(approval)) return 'It is held for what its task has read.';
  if (approval.decision.situation?.deviations?.length) return 'It is unusual for its agent.';
  if (approval.undo.possible === 'no')
    return approval.undo.isSaid ? 'It can’t be undone.' : 'Nobody has said that it can be undone.';
  return null;
}

const isHeldForFlow = ({ decision, origins = [] }: Pick<ApprovalRequest, 'decision' | 'origins'>): boolean =>
  decision.policies.some((id) => id.startsWith(FLOW_RULE)) || origins.some(({ held }) => held.length > 0);

const amountIn = (origins: NonNullable<ApprovalRequest['origins']>) =>
  origins.find(({ role }) => role === 'amount')?.value ?? '';

/** Digits of the amount before its fraction: larger sums first, whatever their unit. */
function magnitudeOf(origins: NonNullable<ApprovalRequest['origins']>): number {
  const amount = Number(amountIn(origins));
  return Number.isFinite(amount) && amount >= 1 ? Math.min(12, Math.floor(Math.log10(amount)) + 1) : 0;
}
