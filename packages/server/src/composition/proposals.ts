import { createPolicyChanges, createRehearsals, createReplayThreads, replayProposal } from '../governance/index.ts';
import { historyPlace } from '../storage/index.ts';
import type { Doors } from './doors.ts';
import type { Foundation } from './foundation.ts';
import type { Identities } from './identity.ts';
import type { Workspace } from './workspace.ts';

/** Changes of policies before they are made: proposed, replayed on what was done, and looked at by a second person. */
export function openProposals(
  { config, storage, recordChange, clock, log }: Foundation,
  { registry, policies }: Workspace,
  { people }: Identities,
  { upstreams }: Doors,
  opened: AsyncDisposableStack,
) {
  const replayThreads = createReplayThreads({
    place: historyPlace(config.database, config.dataDir),
    trustDomain: config.trustDomain,
    log,
  });
  opened.defer(() => replayThreads.close());
  const rehearsals = createRehearsals({
    registry,
    threads: replayThreads,
    observing: () => policies(registry.snapshot()).observed ?? [],
  });
  const policyChanges = createPolicyChanges({
    registry,
    storage,
    people,
    recordChange,
    clock,
    publicUrl: config.publicUrl,
    onProposed: (number) =>
      void replayProposal({ policyChanges, rehearsals, describe: upstreams.describe, clock }, number).catch((error) =>
        log.warn('a proposed change could not be replayed; who looks at it can ask for it', { error }),
      ),
  });
  return { rehearsals, policyChanges };
}
