import type { Decision, Task, Tier } from '@gatehouse/protocol';
import type { Agent } from '../registry/index.ts';
import { leastGrantable } from './grantable.ts';
import { combine } from './obligations.ts';
import type { Authority } from './types.ts';

/** The answer for one of those on whose authority something is done. */
export interface Part {
  decision: Decision;
  /** Of a refusal by another side than the agent itself. */
  code?: string;
  side?: string;
}

/** What is permitted follows from the tier alone. */
export function byTier(ref: string, tier: Tier): Pick<Decision, 'effect' | 'tier' | 'code' | 'reason'> {
  if (tier === 4) {
    const reason = `${ref} is tier 4: prohibited, and no approval can allow it.`;
    return { effect: 'deny', tier, code: 'tier.prohibited', reason };
  }
  if (tier === 3) {
    const reason = `${ref} is tier 3: a person has to approve this exact call.`;
    return { effect: 'needs-approval', tier, code: 'tier.needs-approval', reason };
  }
  return { effect: 'allow', tier, code: 'allowed', reason: 'Permitted by policy.' };
}

/**
 * Law 5: what all of them permit, under the highest tier that any of them sets. The first refusal is the answer, and says whose it is:
 * the agent's own first, then those who handed the task on, last the person.
 */
export function narrowest(parts: Part[]): Decision {
  const tier = Math.max(...parts.map(({ decision }) => decision.tier)) as Tier;
  const [own] = parts as [Part];
  const refused = parts.find(({ decision }) => decision.effect === 'deny');
  if (refused) {
    const { decision, code, side } = refused;
    return { ...decision, tier, code: code ?? decision.code, reason: `${side ?? ''}${decision.reason}` };
  }
  const policies = [...new Set(parts.flatMap(({ decision }) => decision.policies))];
  const highest = parts.find(({ decision }) => decision.tier === tier)?.decision ?? own.decision;
  const { effect, code, reason } = highest;
  const obligations = combine(parts.map(({ decision }) => decision.obligations));
  const asking = parts.filter(({ decision }) => decision.effect === 'needs-approval');
  const grantable = leastGrantable(asking.map(({ decision }) => decision.grantable));
  return {
    effect,
    tier,
    code,
    reason,
    policies,
    policyVersion: own.decision.policyVersion,
    ...(obligations && { obligations }),
    ...(grantable && { grantable }),
  };
}

export function handedOnBy({ agent, task }: { agent: Agent; task: Task }): string {
  return `Agent ${agent.name} handed this task on (from its task ${task.id}), and nobody can be given more than that agent has. `;
}

/** INVARIANT: a task that was handed on is never decided without all of those who handed it on. */
export function isWhole({ task, chain }: Required<Pick<Authority, 'task' | 'chain'>>): boolean {
  let parent = task.parent;
  for (const link of chain) {
    if (link.task.id !== parent || link.task.user !== task.user) return false;
    parent = link.task.parent;
  }
  return parent === null;
}
