import {
  createConfirmations,
  createConsents,
  createIdentity,
  createPeople,
  createPushSubscriptions,
  noteKeysOfBefore,
  sealPasskeysOfBefore,
} from '../identity/index.ts';
import type { Foundation } from './foundation.ts';
import type { StartOptions } from './types.ts';
import type { Workspace } from './workspace.ts';

export type Identities = Awaited<ReturnType<typeof openIdentity>>;

/** Who people and agents are, and how they prove it. */
export async function openIdentity(
  { config, storage, ledger, sealer, recordChange, clock, log, outbound }: Foundation,
  { registry }: Workspace,
  options: StartOptions,
) {
  const people = createPeople({ storage, sealer, registry, recordChange, clock, log, publicUrl: config.publicUrl });
  await sealPasskeysOfBefore({ storage, sealer, recordChange, log });
  await noteKeysOfBefore({ storage, sealer, recordChange, log });
  const mutualTlsUrl = config.mutualTls?.url ?? (config.tls?.clientCertificates ? config.publicUrl : undefined);
  const identity = await createIdentity({
    storage,
    registry,
    recordChange,
    recordGuarded: ledger.recordGuarded,
    sealer,
    clock,
    log,
    outbound,
    people,
    trustDomain: config.trustDomain,
    ...(config.rotateKeysAfterDays !== undefined && { keyMaxAgeMs: config.rotateKeysAfterDays * 24 * 3_600_000 }),
    publicUrl: config.publicUrl,
    mutualTlsUrl,
    clientMetadata: { hosts: config.clients?.hosts ?? null, ...options.clientMetadata },
    dynamicClients: config.clients?.dynamic ?? false,
    requireProofNonce: config.requireProofNonce ?? false,
  });
  const consents = createConsents({
    storage,
    registry,
    people,
    delegations: identity.delegations,
    recordChange,
    clock,
    publicUrl: config.publicUrl,
    describeClient: identity.authorizationServer.describeClient,
  });
  const confirmations = createConfirmations({ storage, people, recordChange, clock, publicUrl: config.publicUrl });
  const subscriptions = createPushSubscriptions({ storage, registry, recordChange, sealer, clock });
  const push = { ...subscriptions, ...identity.pushKeys };
  return { people, identity, consents, confirmations, push, mutualTlsUrl };
}
