import { name } from '@gatehouse/protocol';
import { type Adapter, type AdapterFactory, errors } from 'oidc-provider';
import type { Clock } from '../../platform/index.ts';
import type { Agent, Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { useAssertion } from './used-assertions.ts';

/**
 * What oidc-provider sees of the workspace: agents as clients, and the ids of used assertions. Nothing else is ever stored by it;
 * no client secret exists.
 */
export function createAdapters({
  storage,
  registry,
  clock,
}: {
  storage: Storage;
  registry: Registry;
  clock: Clock;
}): AdapterFactory {
  const clients: Adapter = {
    ...nothing('Client'),
    async find(id) {
      const agent = registry.snapshot().agents.get(id);
      return agent && clientOf(agent);
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
  return (model) => (model === 'Client' ? clients : model === 'ReplayDetection' ? usedAssertions : nothing(model));
}

export const ASSERTION_USED = 'client assertion tokens must only be used once';

/**
 * RFC 7591 metadata of an agent. A suspended agent is a client too: it proves itself first and is told then why it is refused,
 * while nobody else learns that it exists. `alg` is left out of its keys: which algorithms a key may use follows from its type.
 */
function clientOf(agent: Agent): Record<string, unknown> | undefined {
  if (agent.manifest.keys.length === 0 || !name.safeParse(agent.name).success) return undefined;
  return {
    client_id: agent.name,
    token_endpoint_auth_method: 'private_key_jwt',
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    jwks: { keys: agent.manifest.keys.map(({ alg: _alg, use: _use, ...key }) => key) },
  };
}

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
