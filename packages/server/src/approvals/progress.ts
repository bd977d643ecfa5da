import type { Approval, ApprovalProgress } from '@gatehouse/protocol';
import type { Circle, Question } from './rule/circle.ts';
import { standingOf, whoMayApprove } from './rule/standing.ts';
import { rulesOf } from './who-may.ts';

/** How far an approval is, for people: who has said yes, what is missing, who can say it, and what happens next. */
export function progressOf(approval: Approval, question: Question, circle: Circle, now: number): ApprovalProgress {
  const isPending = approval.state === 'pending';
  const rules = rulesOf(approval).map((rule): ApprovalProgress['rules'][number] => {
    // What was decided is shown as it was then; what somebody has lost since is shown by its state.
    const standing = standingOf(rule, approval.votes, question, circle, isPending ? now : (approval.decidedAt ?? now));
    return {
      name: rule.name,
      isMet: standing.isMet,
      order: rule.order,
      deny: rule.deny,
      steps: standing.steps.map(({ approve, from, distinct, isOpen, given }) => ({
        approve,
        from,
        distinct,
        isOpen: isPending && isOpen,
        missing: approve - given.length,
        given: given.map(({ person, of, source }) => ({ person, for: of === person ? null : of, as: source })),
      })),
      escalate: rule.escalate.map(({ afterSeconds, to }) => ({
        afterSeconds,
        at: approval.createdAt + afterSeconds * 1_000,
        to,
        isDone: afterSeconds <= approval.escalatedSeconds,
      })),
    };
  });
  const ahead = rules.flatMap(({ escalate }) => escalate.filter(({ isDone }) => !isDone).map(({ at }) => at));
  return {
    rules,
    mayApprove: isPending ? whoMayApprove(rulesOf(approval), approval.votes, question, circle, now) : [],
    nextEscalationAt: isPending && ahead.length > 0 ? Math.min(...ahead) : null,
  };
}
