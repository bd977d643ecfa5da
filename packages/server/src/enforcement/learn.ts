import type { Approval, Decision } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import type { Baseline } from '../policy/index.ts';
import type { RegisteredTool } from '../registry/index.ts';
import { ANOMALOUS } from './record.ts';
import { isUse } from './situation.ts';
import type { Action } from './types.ts';

/** Lets what is usual be learned from a call that has ended. What is unusual about its result, for the record. */
export function learnFrom(
  baseline: Baseline,
  action: Action,
  tool: RegisteredTool,
  { decision, approval }: { decision: Decision; approval: Approval | undefined },
  { result, body }: { result: 'success' | 'failure' | 'unknown'; body: Json },
): { labels: string[]; words: string[] } {
  if (!isUse(action.operation)) return { labels: [], words: [] };
  const size = baseline.ended({
    agent: action.caller.agent,
    tool,
    arguments: action.arguments,
    deviations: decision.situation?.deviations ?? [],
    approved: approval !== undefined && hasSeen(approval, decision),
    // Whoever makes the call elsewhere has been told that they may; what came of it is seldom heard.
    succeeded: result === 'success' || (action.gateway !== undefined && result === 'unknown'),
    result: body,
  });
  return size ? { labels: [ANOMALOUS], words: [size.words] } : { labels: [], words: [] };
}

/** The person who approved it was shown all that is unusual about it now. */
function hasSeen(approval: Approval, decision: Decision): boolean {
  const shown = new Set(approval.decision.situation?.deviations?.map(({ kind }) => kind));
  return (decision.situation?.deviations ?? []).every(({ kind }) => shown.has(kind));
}
