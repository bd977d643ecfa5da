import type { EndedCredentials, PlanChange } from '@gatehouse/protocol';
import type { Credentials } from '../credentials/index.ts';
import type { Standings } from '../enforcement/index.ts';
import { compilePolicies } from '../policy/index.ts';
import type { Rehearsal } from '../registry/index.ts';

export interface EndedDependencies {
  credentials: Pick<Credentials, 'withdrawing'>;
  enforcement: Standings;
}

/** What of the live credentials the workspace would end, as it was rehearsed. */
export function wouldEnd(
  { credentials, enforcement }: EndedDependencies,
  { steps, snapshot }: Pick<Rehearsal, 'steps' | 'snapshot'>,
): Promise<EndedCredentials> | EndedCredentials {
  if (steps.every(({ change }) => change.operation === 'unchanged')) return { items: [], isWhole: true };
  const set = compilePolicies(snapshot, { validated: true });
  return credentials.withdrawing.foresee(snapshot, (as, issued) => enforcement.standingOf(as, issued, set));
}

/** What of them a change has ended that was made then. */
export const hasEnded = (
  { credentials }: Pick<EndedDependencies, 'credentials'>,
  changes: readonly PlanChange[],
  at: number,
): Promise<EndedCredentials> =>
  credentials.withdrawing.endedSince(
    at,
    changes.flatMap(({ kind, operation, name }) => (kind === 'Agent' && operation === 'delete' ? [name] : [])),
  );
