import { createEnding } from '../credentials/index.ts';
import { checkBudgets } from '../enforcement/index.ts';
import {
  compilePolicies,
  createFlow,
  perVersion,
  prepareToCompile,
  sealLabelsOfBefore,
  sensitiveKinds,
} from '../policy/index.ts';
import { createRegistry, type Snapshot } from '../registry/index.ts';
import type { Foundation } from './foundation.ts';

export type Workspace = Awaited<ReturnType<typeof openWorkspace>>;

/** What is applied, and its policies as they are compiled. Nothing is applied that one of the rooms cannot work with. */
export async function openWorkspace(
  { config, storage, clock, sealer, ledger, recordChange, log }: Foundation,
  checkControlPolicies: (snapshot: Snapshot) => void,
) {
  await sealLabelsOfBefore({ storage, sealer, recordChange, log });
  const kinds = (): string[] => sensitiveKinds(registry.snapshot());
  const flow = createFlow({ storage, clock, sealer, recordChange, log, kinds, ledger });
  const ending = createEnding({ storage, recordChange, clock });
  const registry = await createRegistry({
    handedOn: flow.handedOn,
    tokenRevoked: (transaction, task, by) =>
      ending.handedOutWithin(transaction, task, by, 'a token of its task was revoked'),
    storage,
    clock,
    trustDomain: config.trustDomain,
    recordChange,
    log,
    prepare: prepareToCompile,
    validate: (snapshot) => {
      const compiled = compilePolicies(snapshot);
      checkBudgets(snapshot);
      checkControlPolicies(snapshot);
      return compiled;
    },
  });
  const policies = perVersion((snapshot) =>
    compilePolicies(snapshot, {
      validated: true,
      enginesDiffer: (difference) =>
        log.error('ALARM: the policy engines differ, and the call was refused', difference),
    }),
  );
  await registry.keepVersion(policies(registry.snapshot()).version);
  return { flow, registry, policies };
}
