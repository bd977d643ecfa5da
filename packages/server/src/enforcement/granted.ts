import type { Decision } from '@gatehouse/protocol';
import { counterOfGrant, type HeldBreakGlass, type HeldGrant } from '../approvals/index.ts';
import type { OverBudget } from '../storage/index.ts';

/** The record of each call that a grant covers says so. */
export const underGrant = (decision: Decision, { id, givenBy }: HeldGrant): Decision => ({
  ...decision,
  reason: `${decision.reason} The standing grant ${id} of ${givenBy} covers it.`,
});

/** There is no room in the grant for this call: it has been used as often as it may be, or the amount is beyond what is left. */
export const isOfGrant = (over: OverBudget, { id }: HeldGrant): boolean => over.counter === counterOfGrant(id);

/** On every record of a call that ran in an emergency. */
export const BREAK_GLASS = 'break-glass';

export const underBreakGlass = (decision: Decision, { subject, signers }: HeldBreakGlass): Decision => ({
  ...decision,
  reason: `${decision.reason} BREAK-GLASS ${subject.id} for ${subject.incident}, by ${signers.join(' and ')}: it runs without an approval.`,
});
