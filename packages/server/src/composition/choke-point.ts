import { hkdfSync } from 'node:crypto';
import { createApprovals, createChannels } from '../approvals/index.ts';
import { createCredentials, createSecrets, createSecretUses, endLeasesOfBefore } from '../credentials/index.ts';
import {
  createBreaker,
  createBudgets,
  createEnforcement,
  createHeldResults,
  createOpenCalls,
  createOutsideDetectors,
  createTickets,
  maskCredentials,
} from '../enforcement/index.ts';
import { keyFile } from '../platform/index.ts';
import { createBaseline } from '../policy/index.ts';
import type { Foundation } from './foundation.ts';
import type { Identities } from './identity.ts';
import type { Workspace } from './workspace.ts';

export type ChokePoint = Awaited<ReturnType<typeof openChokePoint>>;

/** What decides, asks, counts and keeps for a call: everything between a door and what is behind it. */
export async function openChokePoint(
  { config, storage, sealer, ledger, recordChange, outbound, tracing, clock, log }: Foundation,
  { registry, policies, flow }: Workspace,
  { people, push, identity }: Identities,
  opened: AsyncDisposableStack,
) {
  const stateKey = keyFile(config.dataDir, 'request-state.key');
  const keyFor = (purpose: string) => new Uint8Array(hkdfSync('sha256', stateKey, '', `gatehouse ${purpose}`, 32));
  const held = createHeldResults({ storage, sealer, key: keyFor('held results'), clock });
  await endLeasesOfBefore({ storage, recordChange, clock, log });
  const secretUses = createSecretUses({ storage, clock });
  const secrets = createSecrets({ storage, sealer, recordChange, uses: secretUses, clock });
  const credentials = createCredentials({
    ...{ storage, registry, secrets, sealer, recordChange, clock, log, publicUrl: config.publicUrl },
    alarm: (transaction, lease) => channels.tellOfLease(transaction, lease),
    standingOf: (snapshot, issued) => enforcement.standingOf(snapshot, issued),
    tools: {
      environment: process.env,
      noteUse: secretUses.note,
      identityToken: identity.identityTokens.sign,
      signedToken: identity.signedTokens.sign,
      cloudAuthority: identity.cloudAuthority,
      sshAuthority: identity.sshAuthorities.keyOf,
      svids: identity.trustDomain,
      assertPerson: identity.assertPerson,
      outbound,
      clock,
      log,
    },
  });
  opened.defer(() => credentials.close());
  const channels = createChannels({
    storage,
    registry,
    recordChange,
    outbound,
    openSecret: secrets.open,
    lease: credentials.leases.get,
    mask: maskCredentials,
    people,
    sealer,
    push,
    clock,
    log,
    publicUrl: config.publicUrl,
  });
  const approvals = await createApprovals({
    endorse: flow.endorse,
    onEnded: held.forget,
    tell: channels.tell,
    sealer,
    storage,
    registry,
    people,
    recordChange,
    clock,
    log,
    publicUrl: config.publicUrl,
  });
  const breaker = createBreaker({ registry, clock, log });
  const tickets = createTickets({ outbound, openSecret: secrets.open, clock, log });
  const detectors = createOutsideDetectors({ outbound, openSecret: secrets.open, log });
  const budgets = createBudgets({ storage, registry, clock });
  const baseline = createBaseline({ storage, registry, recordChange, key: keyFor('baselines'), clock, log });
  opened.defer(() => baseline.write());
  const openCalls = createOpenCalls({ storage, ledger, recordChange, key: keyFor('open calls'), clock });
  const enforcement = createEnforcement({
    held,
    openCalls,
    leases: credentials.leases,
    detectors,
    placeholderKey: keyFor('placeholders'),
    tracing,
    registry,
    budgets,
    policies,
    tickets,
    breaker,
    approvals,
    ledger,
    flow,
    baseline,
    feed: storage.feed,
    clock,
    log,
  });
  return {
    held,
    secrets,
    secretUses,
    credentials,
    channels,
    approvals,
    budgets,
    baseline,
    openCalls,
    enforcement,
    stateKey,
  };
}
