import { name } from '@gatehouse/protocol';
import { type Adapter, type AdapterFactory, type AdapterPayload, errors, Provider } from 'oidc-provider';
import type { Clock, Json } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { DatabaseTransaction, Storage } from '../../storage/index.ts';
import type { SvidVerifier } from '../client-certificate/svid-verifier.ts';
import { consentOf } from '../consent/consent.ts';
import type { Federation } from '../federation/index.ts';
import { artifactAdapter } from './artifacts.ts';
import { agentByRule, authenticationMetadata, refuseStranger } from './client-authentication.ts';
import { agentClient, drivenClient } from './clients.ts';
import { findDynamicClient, keepDynamicClient } from './dynamic-clients.ts';
import { federatedClient } from './grants/jwt-bearer.ts';
import { createUnfinishedRequests } from './unfinished-requests.ts';
import { useAssertion } from './used-assertions.ts';

/** What oidc-provider sees of the workspace: clients, what it keeps between requests, and the ids of used assertions. No client secret exists. */
export function createAdapters(dependencies: {
  storage: Storage;
  registry: Registry;
  clock: Clock;
  publicUrl: string;
  svids: SvidVerifier;
  federation: Federation;
}): AdapterFactory {
  const { storage, registry, clock, svids } = dependencies;
  const clients: Adapter = {
    ...nothing('Client'),
    async upsert(id, metadata) {
      await keepDynamicClient(dependencies, id, metadata as Json);
    },
    async find(id) {
      const federated = federatedClient(id);
      if (federated) return federated;
      // An agent may call itself by the SPIFFE ID of its SVID (draft-ietf-oauth-spiffe-client-auth).
      const named = svids.principalOf(id) ?? (await agentByRule(dependencies, id));
      // Nobody proves anything at the authorization endpoint: there it must not be found out which agents exist.
      const agent =
        Provider.ctx?.oidc?.route === 'authorization'
          ? undefined
          : registry.snapshot().agents.get(named?.kind === 'agent' ? named.name : id);
      if (!agent) {
        const other = drivenClient(registry.snapshot(), id) ?? (await findDynamicClient(dependencies, id));
        if (!other) await refuseStranger(dependencies);
        return other;
      }
      if (!name.safeParse(agent.name).success) return undefined;
      if (named?.kind === 'agent' && named.environment !== agent.manifest.environment) return undefined;
      const authentication = await authenticationMetadata(dependencies, agent);
      return authentication && { ...agentClient(agent), ...authentication };
    },
  };
  const usedAssertions: Adapter = {
    ...nothing('ReplayDetection'),
    // The library looks first and writes later. Two requests with one assertion could both find nothing, so that only the write,
    // which is refused by the primary key, decides.
    async find() {
      return undefined;
    },
    async upsert(id, _payload, expiresInSeconds = 0) {
      if (!(await useAssertion(storage, id, clock.now(), clock.now() + expiresInSeconds * 1000)))
        throw new errors.InvalidClientAuth(ASSERTION_USED);
    },
  };
  const onGrantRevoked = async (transaction: DatabaseTransaction, payload: AdapterPayload) => {
    const started = consentOf(payload)?.started;
    if (started) await registry.endTask(started.task, 'gatehouse', transaction);
  };
  const unfinished = createUnfinishedRequests(clock);
  return (model) => {
    if (model === 'Client') return clients;
    if (model === 'ReplayDetection') return usedAssertions;
    return artifactAdapter(model, { storage, clock, unfinished, onGrantRevoked }) ?? nothing(model);
  };
}

export const ASSERTION_USED = 'client assertion tokens must only be used once';

function nothing(model: string): Adapter {
  const refuse = async () => {
    throw new Error(`oidc-provider may not store a ${model}`);
  };
  const none = async () => undefined;
  return {
    find: none,
    findByUid: none,
    findByUserCode: none,
    upsert: refuse,
    consume: refuse,
    destroy: refuse,
    revokeByGrantId: refuse,
  };
}
