import type { Upstreams } from '../../gate/index.ts';
import type { Clock } from '../../platform/index.ts';
import type { Rehearsals } from '../rehearsal/index.ts';
import { secondPersonLimits } from './limits.ts';
import type { PolicyChanges } from './types.ts';

/** Replays a change that waits over what was recorded lately, and keeps what came of it for who looks at the change. */
export async function replayProposal(
  deps: {
    policyChanges: Pick<PolicyChanges, 'work' | 'keepReplay'>;
    rehearsals: Pick<Rehearsals, 'replay'>;
    describe: Upstreams['describe'];
    clock: Clock;
  },
  number: number,
): Promise<void> {
  const until = deps.clock.now();
  const range = { since: until - secondPersonLimits.replayedMs, until, limit: 20 };
  const result = await deps.rehearsals.replay(await deps.policyChanges.work(number), range, {
    describe: deps.describe,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(secondPersonLimits.replayedWithinMs),
  });
  await deps.policyChanges.keepReplay(number, result);
}
