import type { Approval } from '@gatehouse/protocol';
import type { Approvals } from '../../approvals/index.ts';
import type { AgentSide } from './agent-side.ts';
import { doorLimits } from './limits.ts';
import { approvalUrl, waitingMessage, waitingMeta } from './replies.ts';

/**
 * Waits until a person has decided, `maxMs` have passed, or the signal aborts, and says how it stands then. Meanwhile the client
 * sees progress, if it asked for it, so that it neither gives up nor leaves its user in the dark.
 */
export async function waitForDecision(
  { approvals, publicUrl }: { approvals: Approvals; publicUrl: string },
  agent: Pick<AgentSide, 'progressToken' | 'notify'>,
  approval: Approval,
  signal: AbortSignal,
  maxMs: number,
): Promise<Approval> {
  const ticker = createTicker(agent, approval, publicUrl);
  const timeout = AbortSignal.timeout(maxMs);
  try {
    return await approvals.settled(approval.id, AbortSignal.any([signal, timeout]));
  } finally {
    ticker.stop();
  }
}

function createTicker(
  { progressToken, notify }: Pick<AgentSide, 'progressToken' | 'notify'>,
  approval: Approval,
  publicUrl: string,
) {
  if (progressToken === undefined) return { stop: () => undefined };
  let progress = 0;
  const tick = () => {
    // Below one, so that the server's own progress, which begins later, still goes up.
    progress += (1 - progress) / 100;
    const message = `${waitingMessage(approval)} It waits at ${approvalUrl(publicUrl, approval)}`;
    notify('notifications/progress', { progressToken, progress, message, _meta: waitingMeta(publicUrl, approval) });
  };
  tick();
  const timer = setInterval(tick, doorLimits.approvalProgressMs);
  return { stop: () => clearInterval(timer) };
}
